import { IgnoreRules } from '../../archive/index.ts';
import { EngineError } from '../../errors/index.ts';
import type { ExecOperation } from '../graph/operation.ts';
import type { JobContext } from '../solver/jobs.ts';
import type { BuildSession } from '../solver/session.ts';
import { digestSources, findSources } from './copy-sources.ts';
import { execStep } from './exec.ts';
import { snapshotLayer } from './new-layer.ts';
import type { NewLayer, PreparedOperation, Result, TreeResult } from './prepared.ts';
import { StepMounts } from './step-mounts.ts';

/** RUN: a command in a container on top of what is there. */
export function prepareExec(
  session: BuildSession,
  operation: ExecOperation,
  inputs: readonly Result[],
): PreparedOperation {
  const root = inputs[0] as TreeResult;
  const { hiddenEnvironment, mounts, mountInputs, ...own } = operation;
  void hiddenEnvironment;
  const base = ['exec', JSON.stringify(own)];
  const inputOf = (index: number): Result | undefined => inputs[mountInputs[index] ?? -1];
  const bound = mounts.map((mount, index) => (mount.kind === 'bind' ? inputOf(index) : undefined));
  return {
    quick: bound.every((input) => input === undefined || input.kind === 'tree')
      ? [
          ...base,
          JSON.stringify(mounts.map((mount) => ({ ...mount, from: '' }))),
          ...bound.map((input) => (input?.kind === 'tree' ? input.identity : '')),
        ]
      : undefined,
    // What is read from mounts decides as the command does; caches, secrets and where files come from do not.
    exact: () => ({
      texts: [
        ...base,
        ...mounts.map((mount, index) => {
          const input = bound[index];
          if (mount.kind !== 'bind' || input === undefined) return JSON.stringify({ ...mount, from: '' });
          const content = digestSources(
            findSources(pathOf(session, input), [mount.source], {
              instruction: 'RUN',
              fromContext: input.kind === 'directory',
            }),
            { exclude: new IgnoreRules([]), owners: input.kind === 'tree', digests: session.files.digests },
          );
          return JSON.stringify([mount.kind, mount.target, mount.writable, content]);
        }),
      ],
      source: '',
    }),
    run: async (job) => ({ layer: await exec(session, operation, root, inputOf, job) }),
  };
}

function pathOf(session: BuildSession, input: Result): string {
  if (input.kind === 'tree') return session.view(input.stack?.chainId ?? null);
  return input.kind === 'directory' ? input.path : input.source.path;
}

async function exec(
  session: BuildSession,
  operation: ExecOperation,
  root: TreeResult,
  inputOf: (mount: number) => Result | undefined,
  job: JobContext,
): Promise<NewLayer> {
  const { parts, options, cacheMounts } = session.services;
  const { request } = session;
  const { snapshotter } = parts;
  const id = session.newId();
  const note = (text: string): void => job.output({ kind: 'note', text });
  note(` ---> Running in ${id.slice(0, 12)}\n`);
  const chainId = root.stack?.chainId ?? null;
  let said = '';
  await snapshotter.prepare(id, chainId);
  try {
    const opened = await StepMounts.open(
      operation.mounts,
      {
        tree: async (index) => {
          const input = inputOf(index);
          return input === undefined ? '' : pathOf(session, input);
        },
        secrets: request.secrets ?? new Map(),
        ssh: request.ssh ?? new Map(),
        cache: cacheMounts,
        syscall: parts.syscall,
      },
      operation.workingDirectory,
      job.signal,
    );
    const exitCode = await execStep(
      parts,
      options,
      {
        id,
        chainId,
        user: operation.user,
        workingDirectory: operation.workingDirectory,
        command: [...operation.command],
        environment: [...operation.hiddenEnvironment, ...operation.environment],
        networkMode: operation.network,
        isInsecure: operation.isInsecure === true,
        devices: operation.devices ?? [],
        extraHosts: operation.extraHosts,
        cgroupParent: request.cgroupParent ?? '',
        limits: request.limits ?? {},
        signal: job.signal,
        onOutput: (kind, chunk) => {
          said = said.slice(-200) + chunk.toString('latin1');
          job.output({ kind, chunk });
        },
      },
      opened,
    );
    if (exitCode !== 0) throw failed(operation, exitCode, said);
    if (request.removesContainers !== false) note(`Removing intermediate container ${id.slice(0, 12)}\n`);
  } catch (error) {
    await snapshotter.remove(id);
    throw error;
  }
  return snapshotLayer(snapshotter, id);
}

/** @param said the end of what it said: the runtime's words when it could not be started */
function failed({ command, foreignPlatform }: ExecOperation, exitCode: number, said: string): EngineError {
  const why =
    foreignPlatform !== undefined && /exec format error/i.test(said)
      ? `: no handler of binfmt_misc runs programs of ${foreignPlatform} on this machine`
      : '';
  const line = command.join(' ');
  const solveText = `process ${JSON.stringify(line)} did not complete successfully: exit code: ${exitCode}${why}`;
  return new EngineError('internal', `The command '${line}' returned a non-zero code: ${exitCode}${why}`, {
    code: 'step-failed',
    details: { exitCode, solveText },
  });
}
