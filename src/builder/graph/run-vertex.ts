import { formatPlatform, platformRank, type Platform } from '../../spec/index.ts';
import type { RunInstruction } from '../dockerfile/instructions/instruction.ts';
import { parseStepMount } from '../ops/run-mounts.ts';
import { inShell } from './apply-config.ts';
import type { Entitlements } from './entitlements.ts';
import type { Vertex } from './operation.ts';
import type { StageState } from './stage.ts';

/**
 * RUN as a vertex, and its text in history.
 * @param sourceOf gives the vertex of a `from`, '' for the context
 */
export async function runVertex(
  state: StageState,
  instruction: RunInstruction,
  options: {
    name: string;
    networkMode: string;
    extraHosts: readonly string[];
    entitlements: Entitlements;
    machine: Platform;
    sourceOf: (from: string) => Promise<Vertex | null>;
  },
): Promise<{ vertex: Vertex; createdBy: string }> {
  const { isInsecure } = instruction;
  const { entitlements } = options;
  if (isInsecure) entitlements.require('security.insecure');
  if (instruction.network === 'host') entitlements.require('network.host');
  const devices = instruction.devices.map((device) => entitlements.device(device));
  const command = commandOf(state, instruction);
  const args = state.arguments();
  const mounts = instruction.mounts.map((text) => parseStepMount(text, (word) => state.expand(word)));
  const inputs: (Vertex | null)[] = [state.vertex];
  const mountInputs: (number | undefined)[] = [];
  for (const mount of mounts) {
    const reads = mount.kind === 'bind' || (mount.kind === 'cache' && mount.from !== '');
    mountInputs.push(reads ? inputs.push(await options.sourceOf(mount.from)) - 1 : undefined);
  }
  const vertex: Vertex = {
    operation: {
      kind: 'exec',
      command,
      environment: [...args, ...(state.config.Env ?? [])],
      hiddenEnvironment: state.proxies(),
      user: state.config.User ?? '',
      workingDirectory: state.config.WorkingDir ?? '',
      // The step's own network counts before the build's.
      network: instruction.network === 'default' ? options.networkMode || 'default' : instruction.network,
      ...(isInsecure ? { isInsecure } : {}),
      ...(devices.length === 0 ? {} : { devices }),
      ...(platformRank(state.platform, options.machine) >= 0
        ? {}
        : { foreignPlatform: formatPlatform(state.platform) }),
      extraHosts: options.extraHosts,
      mounts,
      mountInputs,
    },
    inputs,
    ignoresCache: state.ignoresCache,
    name: options.name,
  };
  return {
    vertex,
    createdBy: [...(args.length === 0 ? [] : [`|${args.length}`, ...args]), ...command].join(' '),
  };
}

/** With heredocs the shell gets them as its script, or in the command as they stand. */
function commandOf(state: StageState, instruction: RunInstruction): string[] {
  const { command, heredocs } = instruction;
  if (heredocs.length === 0 || command.form === 'exec') return inShell(command, state.config);
  const [text = ''] = command.words;
  const [only] = heredocs;
  const lone = /^\d*<<-?["']?([^\s"']+)["']?$/.exec(text.trim());
  if (only !== undefined && heredocs.length === 1 && lone !== null) {
    return inShell({ form: 'shell', words: [only.content] }, state.config);
  }
  const bodies = heredocs.map(({ content, name }) => `\n${content}${name}`).join('');
  return inShell({ form: 'shell', words: [`${text}${bodies}\n`] }, state.config);
}
