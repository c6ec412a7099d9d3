import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { DescriptorWatcher, ProcessSpawner, SpawnedProcess } from '../../sys/index.ts';
import { lastLoggedError } from '../oci/runtime-errors.ts';
import { runtimeEnvironment, type OciCommand } from '../oci/oci-command.ts';
import type { Bundle } from './bundle.ts';

/** conmon-term.XXXXXX and the slash before it, and the final NUL, of a sun_path's 108 bytes. */
const consoleSocketDirectoryBytesMax = 108 - 20 - 1;
const syncFd = 3;
const startFd = 4;
const attachFd = 5;

export interface ConmonOptions {
  id: string;
  bundle: Bundle;
  oci: OciCommand;
  conmonPath: string;
  systemdCgroup: boolean;
  terminal: boolean;
  openStdin: boolean;
  /** The container's stdin ends with the input of the one connection to the attach socket. */
  closesStdin: boolean;
  logPath: string | null;
  /** Where conmon makes the socket that receives a terminal. */
  temporaryDirectory: string;
  /** Descriptors that conmon holds open until it ends; the runtime it starts closes them. */
  held?: readonly number[];
  /** Run the process of the bundle's configuration inside the container `id` instead of creating it. */
  exec?: {
    /** Called when conmon listens and before the process starts; absent: nobody will attach. */
    beforeStart?: (() => void) | undefined;
  };
}

/** The command line. `--sync`: conmon is our own child (until we end), so that its end is seen without asking. */
export function conmonArguments(options: ConmonOptions): string[] {
  const { id, bundle, oci } = options;
  return [
    options.conmonPath,
    '--sync',
    '--no-sync-log',
    '--full-attach',
    '--cid',
    id,
    '--cuuid',
    id,
    '--name',
    id.slice(0, 12),
    '--bundle',
    bundle.path,
    '--persist-dir',
    bundle.path,
    '--container-pidfile',
    bundle.pidFile,
    '--log-path',
    options.logPath === null ? 'none' : `k8s-file:${options.logPath}`,
    '--runtime',
    oci.executable,
    ...oci.globalArguments(bundle.runtimeLog).flatMap((argument) => ['--runtime-arg', argument]),
    ...(options.systemdCgroup ? ['--systemd-cgroup'] : []),
    ...(options.terminal ? ['--terminal'] : []),
    ...(options.openStdin ? ['--stdin'] : []),
    ...(options.openStdin && !options.closesStdin ? ['--leave-stdin-open'] : []),
    ...(options.exec === undefined ? [] : ['--api-version', '--exec', '--exec-process-spec', bundle.config]),
    ...(options.exec?.beforeStart === undefined ? [] : ['--exec-attach']),
  ];
}

/**
 * Starts conmon, which runs the OCI runtime's `create` and answers on a pipe with the pid of the container's first
 * process, or with the reason why there is none.
 */
export async function startConmon(
  options: ConmonOptions,
  services: {
    spawner: Pick<ProcessSpawner, 'spawn' | 'pipe'>;
    watcher: Pick<DescriptorWatcher, 'openStream'>;
  },
): Promise<{ monitor: SpawnedProcess; result: { pid: number } | { error: string } }> {
  const { bundle } = options;
  const beforeStart = options.exec?.beforeStart;
  const ours: number[] = [];
  const theirs: number[] = [];
  let monitor: SpawnedProcess;
  let start: number | undefined;
  let ready: number | undefined;
  let sync: number;
  try {
    const errors = openSync(bundle.monitorLog, 'a', 0o600);
    theirs.push(errors);
    const [syncRead, syncWrite] = services.spawner.pipe();
    sync = syncRead;
    ours.push(syncRead);
    theirs.push(syncWrite);
    const fds: Record<number, number> = { 2: errors, [syncFd]: syncWrite };
    for (const fd of options.held ?? []) fds[fd] = fd;
    const environment: Record<string, string> = { _OCI_SYNCPIPE: String(syncFd) };
    if (beforeStart !== undefined) {
      const [startRead, startWrite] = services.spawner.pipe();
      start = startWrite;
      ours.push(startWrite);
      theirs.push(startRead);
      const [readyRead, readyWrite] = services.spawner.pipe();
      ready = readyRead;
      ours.push(readyRead);
      theirs.push(readyWrite);
      fds[startFd] = startRead;
      fds[attachFd] = readyWrite;
      environment['_OCI_STARTPIPE'] = String(startFd);
      environment['_OCI_ATTACHPIPE'] = String(attachFd);
    }
    monitor = services.spawner.spawn({
      path: options.conmonPath,
      argv: conmonArguments(options),
      cwd: bundle.path,
      env: { ...runtimeEnvironment, ...temporaryDirectory(options.temporaryDirectory), ...environment },
      fds,
      newSession: true,
    });
  } catch (error) {
    for (const fd of ours) closeSync(fd);
    throw error;
  } finally {
    for (const fd of theirs) closeSync(fd);
  }
  bundle.writeMonitor(monitor.pid);
  const answer = readLine(services.watcher, sync);
  if (start !== undefined && ready !== undefined && beforeStart !== undefined) {
    try {
      // One byte lets conmon begin, the other one the runtime: they must not be read together.
      writeSync(start, '0');
      if ((await readLine(services.watcher, ready)) !== '') beforeStart();
      writeSync(start, '0');
    } catch (error) {
      // EPIPE: conmon has given up, and says why on the other pipe.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') {
        monitor.kill(9);
        throw error;
      }
    } finally {
      closeSync(start);
    }
  }
  const report = parseReport(await answer);
  if (report !== undefined && report.pid > 0) return { monitor, result: { pid: report.pid } };
  const error =
    lastLoggedError(bundle.runtimeLog) ??
    report?.message ??
    readMonitorLog(bundle) ??
    'the monitor ended early';
  return { monitor, result: { error } };
}

/** The first line from a pipe, or what came before its end. */
function readLine(watcher: Pick<DescriptorWatcher, 'openStream'>, fd: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const stream = watcher.openStream(fd, 'read');
  let text = '';
  stream.onData = (data) => {
    text += data.toString();
    if (text.includes('\n')) stream.close();
  };
  // An exec that ends at once has its exit status in a second line.
  stream.onClose = () => resolve(text.split('\n', 1)[0] ?? '');
  return promise;
}

/** conmon's `{"pid": 12}`, or `{"pid": -1, "message": "…"}`; `data` for `pid` in an exec. */
function parseReport(line: string): { pid: number; message: string | undefined } | undefined {
  try {
    const { pid, data, message } = JSON.parse(line) as { pid?: number; data?: number; message?: string };
    const number = pid ?? data;
    return number === undefined ? undefined : { pid: number, message };
  } catch {
    return undefined;
  }
}

function readMonitorLog(bundle: Bundle): string | undefined {
  try {
    const text = readFileSync(bundle.monitorLog, 'utf8').trim();
    return text === '' ? undefined : text.slice(-2000);
  } catch {
    return undefined;
  }
}

/** conmon makes that socket in $TMPDIR, and dies when the path is too long for a socket. */
function temporaryDirectory(directory: string): Record<string, string> {
  return Buffer.byteLength(directory) <= consoleSocketDirectoryBytesMax ? { TMPDIR: directory } : {};
}
