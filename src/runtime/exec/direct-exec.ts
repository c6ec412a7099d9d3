import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  ByteStream,
  DescriptorWatcher,
  ProcessSpawner,
  SpawnedProcess,
  SpawnOptions,
  Syscall,
} from '../../sys/index.ts';
import type { Bundle } from '../conmon/bundle.ts';
import type { RuntimeExec } from '../container-runtime.ts';
import { runtimeEnvironment, type OciCommand } from '../oci/oci-command.ts';
import { execError, lastLoggedError } from '../oci/runtime-errors.ts';
import { DirectExecTask } from './direct-exec-task.ts';
import { PipeSource } from './pipe-source.ts';

const pidPollMs = 1;
const ownOomScore = '/proc/self/oom_score_adj';
/** Relative to the bundle, which is the runtime's working directory: a whole path may be too long for a socket. */
const consoleSocket = 'console';

export interface DirectExecServices {
  spawner: Pick<ProcessSpawner, 'spawn' | 'pipe'>;
  watcher: Pick<DescriptorWatcher, 'openStream' | 'listenForDescriptor'>;
  syscall: Pick<Syscall, 'setWindowSize'>;
}

/** The engine's side of a session's standard streams, before and after the child is there. */
interface Streams {
  extraArguments: string[];
  childFds: NonNullable<SpawnOptions['fds']>;
  closeChildFds(): void;
  /** Resolves when output can be read. */
  connect(child: SpawnedProcess): Promise<{ source: PipeSource; terminalFd?: number }>;
  /** Closes our ends when it came to nothing. */
  abandon(): void;
}

/**
 * An exec session without a monitor: `crun exec` stays as the parent of the process and passes its exit status on, the
 * process writes into our pipes, or its terminal's master comes to us. It cannot be found again after an engine restart,
 * when the client that was attached is gone as well (docs/adr/0008).
 */
export async function startDirectExec(
  request: RuntimeExec,
  bundle: Bundle,
  oci: OciCommand,
  services: DirectExecServices,
): Promise<DirectExecTask> {
  const { terminal } = request.process;
  const streams = terminal ? terminalStreams(bundle, services) : pipeStreams(request.openStdin, services);
  let child: SpawnedProcess;
  try {
    child = withOomScore(request.process.oomScoreAdj ?? 0, () =>
      services.spawner.spawn({
        path: oci.executable,
        argv: [
          oci.program.path,
          ...oci.globalArguments(bundle.runtimeLog),
          'exec',
          `--process=${bundle.config}`,
          `--pid-file=${bundle.pidFile}`,
          ...streams.extraArguments,
          request.containerId,
        ],
        env: runtimeEnvironment,
        cwd: bundle.path,
        fds: streams.childFds,
        newSession: true,
      }),
    );
  } catch (error) {
    streams.closeChildFds();
    streams.abandon();
    throw error;
  }
  streams.closeChildFds();
  try {
    const pid = await startedPid(bundle, child);
    if (pid === undefined) {
      const { exitCode } = await child.exited;
      const message = lastLoggedError(bundle.runtimeLog) ?? `exit status ${exitCode}`;
      throw execError(message, request.process.args[0]);
    }
    const { source, terminalFd } = await streams.connect(child);
    return new DirectExecTask({
      pid,
      child,
      source,
      closesStdin: !terminal,
      resize: (rows, columns) => {
        if (terminalFd !== undefined) services.syscall.setWindowSize(terminalFd, rows, columns);
      },
    });
  } catch (error) {
    streams.abandon();
    throw error;
  }
}

/**
 * A child has the score of its parent, and the runtime leaves a session's as it is; set in the child, it may come too late.
 * Nothing else can run between the two changes of our own.
 */
function withOomScore<T>(score: number, spawn: () => T): T {
  const own = readFileSync(ownOomScore, 'utf8').trim();
  if (Number(own) === score) return spawn();
  try {
    writeFileSync(ownOomScore, String(score));
  } catch {
    // It may not be lowered without CAP_SYS_RESOURCE.
    return spawn();
  }
  try {
    return spawn();
  } finally {
    writeFileSync(ownOomScore, own);
  }
}

/** crun writes the pid file once the process is about to run; when crun ends without, it has failed to. */
async function startedPid(bundle: Bundle, child: SpawnedProcess): Promise<number | undefined> {
  let isEnded = false;
  const ended = child.exited.then(() => {
    isEnded = true;
  });
  for (;;) {
    // In this order: what is written before the end is seen.
    const wasEnded = isEnded;
    const pid = bundle.readPid();
    if (pid !== undefined || wasEnded) return pid;
    await Promise.race([ended, delay(pidPollMs)]);
  }
}

function pipeStreams(openStdin: boolean, services: DirectExecServices): Streams {
  const { spawner, watcher } = services;
  const childEnds: number[] = [];
  const ownEnds: { fd: number; direction: 'read' | 'write' }[] = [];
  const open = (direction: 'read' | 'write'): number => {
    const [readEnd, writeEnd] = spawner.pipe();
    const [own, child] = direction === 'read' ? [readEnd, writeEnd] : [writeEnd, readEnd];
    ownEnds.push({ fd: own, direction });
    childEnds.push(child);
    return child;
  };
  const closeAll = (fds: number[]): void => {
    for (const fd of fds.splice(0)) closeSync(fd);
  };
  try {
    const childFds: Record<number, number> = { 1: open('read'), 2: open('read') };
    if (openStdin) childFds[0] = open('write');
    return {
      extraArguments: [],
      childFds,
      closeChildFds: () => closeAll(childEnds),
      connect: () => {
        const [stdout, stderr, input] = ownEnds
          .splice(0)
          .map(({ fd, direction }) => watcher.openStream(fd, direction)) as [
          ByteStream,
          ByteStream,
          ByteStream?,
        ];
        return Promise.resolve({ source: new PipeSource({ input, stdout, stderr }) });
      },
      abandon: () => closeAll(ownEnds.splice(0).map(({ fd }) => fd)),
    };
  } catch (error) {
    closeAll(childEnds);
    closeAll(ownEnds.map(({ fd }) => fd));
    throw error;
  }
}

function terminalStreams(bundle: Bundle, services: DirectExecServices): Streams {
  const listener = services.watcher.listenForDescriptor(`${bundle.path}/${consoleSocket}`);
  return {
    extraArguments: ['--tty', `--console-socket=${consoleSocket}`],
    childFds: {},
    closeChildFds: () => {},
    connect: async (child) => {
      // It has been sent before the process started, unless the runtime did not do as it was told.
      const gaveNone = child.exited.then(() => delay(100)).then(() => listener.close());
      const terminalFd = await listener.received;
      void gaveNone;
      const stdout = services.watcher.openStream(terminalFd, 'both');
      return { source: new PipeSource({ input: stdout, stdout }), terminalFd };
    },
    abandon: () => listener.close(),
  };
}
