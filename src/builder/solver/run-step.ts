import { IgnoreRules } from '../../archive/index.ts';
import { EngineError } from '../../errors/index.ts';
import type { RunInstruction } from '../dockerfile/instructions/instruction.ts';
import { digestSources, findSources } from '../ops/copy-sources.ts';
import { execStep } from '../ops/exec.ts';
import { StepMounts } from '../ops/step-mounts.ts';
import { parseStepMount, type StepMount } from '../ops/run-mounts.ts';
import type { TracedStep } from '../progress/trace.ts';
import { inShell } from './apply-config.ts';
import type { BuildRun } from './build-run.ts';
import type { StageState } from './stage.ts';
import { snapshotLayer } from './writable-tree.ts';

/** RUN: a command in a container on top of what is there. */
export async function runStep(run: BuildRun, state: StageState, instruction: RunInstruction): Promise<void> {
  const { parts, options, cacheMounts, maker } = run.services;
  const command = commandOf(state, instruction);
  const args = state.arguments();
  const shown = [...(args.length === 0 ? [] : [`|${args.length}`, ...args]), ...command].join(' ');
  const mounts = instruction.mounts.map((text) => parseStepMount(text, (word) => state.expand(word)));
  const inputs = await mountInputs(run, state, mounts);
  await maker.step(run, state, {
    createdBy: shown,
    inputs: [...inputs, networkOf(run, instruction)],
    config: state.imageConfig,
    makeLayer: async () => {
      const id = run.newId();
      run.say(` ---> Running in ${id.slice(0, 12)}\n`);
      const { snapshotter } = parts;
      await snapshotter.prepare(id, state.image?.chainId ?? null);
      try {
        const opened = await StepMounts.open(
          mounts,
          {
            tree: async (from) => (await run.tree(state.index, from)).path,
            secrets: run.request.secrets ?? new Map(),
            ssh: run.request.ssh ?? new Map(),
            cache: cacheMounts,
            syscall: parts.syscall,
          },
          state.config.WorkingDir ?? '/',
          run.signal,
        );
        const exitCode = await execStep(
          parts,
          options,
          {
            id,
            chainId: state.image?.chainId ?? null,
            imageConfig: state.imageConfig,
            command,
            environment: [...state.proxies(), ...args, ...(state.config.Env ?? [])],
            networkMode: networkOf(run, instruction),
            extraHosts: run.request.extraHosts ?? [],
            cgroupParent: run.request.cgroupParent ?? '',
            limits: run.request.limits ?? {},
            signal: run.signal,
            onOutput: outputOf(run, state.traced),
          },
          opened,
        );
        if (exitCode !== 0) throw failed(command, exitCode);
        if (run.request.removesContainers !== false) {
          run.say(`Removing intermediate container ${id.slice(0, 12)}\n`);
        }
      } catch (error) {
        await snapshotter.remove(id);
        throw error;
      }
      return snapshotLayer(snapshotter, id);
    },
  });
}

/** The step's own network counts before the build's. */
function networkOf(run: BuildRun, instruction: RunInstruction): string {
  return instruction.network === 'default' ? run.request.networkMode || 'default' : instruction.network;
}

function failed(command: readonly string[], exitCode: number): EngineError {
  return new EngineError(
    'internal',
    `The command '${command.join(' ')}' returned a non-zero code: ${exitCode}`,
    { code: 'step-failed', details: { exitCode } },
  );
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

/** What a step reads from mounts decides about it as its command does; caches and secrets do not. */
async function mountInputs(
  run: BuildRun,
  state: StageState,
  mounts: readonly StepMount[],
): Promise<string[]> {
  const inputs: string[] = [];
  for (const mount of mounts) {
    if (mount.kind === 'secret' || mount.kind === 'ssh') {
      inputs.push(JSON.stringify([mount.kind, mount.id, mount.target]));
    } else inputs.push(JSON.stringify(mount));
    if (mount.kind !== 'bind') continue;
    const tree = await run.tree(state.index, mount.from);
    const sources = findSources(tree.path, [mount.source], {
      instruction: 'RUN',
      fromContext: tree.isContext,
    });
    inputs.push(
      digestSources(sources, { exclude: new IgnoreRules([]), owners: !tree.isContext, counted: run.hashed }),
    );
  }
  return inputs;
}

/** Standard error in bright red, as Docker's classic builder shows it. */
function outputOf(
  run: BuildRun,
  traced: TracedStep | undefined,
): (stream: 'stdout' | 'stderr', chunk: Buffer) => void {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  return (stream, chunk) => {
    traced?.log(stream, chunk);
    const text = decoders[stream].decode(chunk, { stream: true });
    if (text === '') return;
    run.say(stream === 'stdout' ? text : `\u001b[91m${text}\u001b[0m`);
  };
}
