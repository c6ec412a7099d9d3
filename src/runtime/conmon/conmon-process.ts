import { closeSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DescriptorWatcher, ProcessSpawner, SpawnedProcess } from '../../sys/index.ts';
import { lastLoggedError } from '../oci/runtime-errors.ts';
import { runtimeEnvironment, type OciCommand } from '../oci/oci-command.ts';
import type { Bundle } from './bundle.ts';

/** conmon-term.XXXXXX and the slash before it, and the final NUL, of a sun_path's 108 bytes. */
const consoleSocketDirectoryBytesMax = 108 - 20 - 1;
const syncFd = 3;

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
    oci.program.path,
    ...oci.globalArguments(bundle.runtimeLog).flatMap((argument) => ['--runtime-arg', argument]),
    ...(options.systemdCgroup ? ['--systemd-cgroup'] : []),
    ...(options.terminal ? ['--terminal'] : []),
    ...(options.openStdin ? ['--stdin'] : []),
    ...(options.openStdin && !options.closesStdin ? ['--leave-stdin-open'] : []),
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
  const argv = conmonArguments(options);
  const errors = openSync(bundle.monitorLog, 'a', 0o600);
  const [syncRead, syncWrite] = services.spawner.pipe();
  let monitor: SpawnedProcess;
  try {
    monitor = services.spawner.spawn({
      path: options.conmonPath,
      argv,
      cwd: bundle.path,
      env: { ...runtimeEnvironment, ...temporaryDirectory(bundle), _OCI_SYNCPIPE: String(syncFd) },
      fds: { 2: errors, [syncFd]: syncWrite },
      newSession: true,
    });
  } catch (error) {
    closeSync(syncRead);
    throw error;
  } finally {
    closeSync(syncWrite);
    closeSync(errors);
  }
  bundle.writeMonitor(monitor.pid);
  const line = await readLine(services.watcher, syncRead);
  const report = parseReport(line);
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
  stream.onClose = () => resolve(text);
  return promise;
}

/** conmon's `{"pid": 12}`, or `{"pid": -1, "message": "…"}`. */
function parseReport(line: string): { pid: number; message: string | undefined } | undefined {
  try {
    const { pid, message } = JSON.parse(line) as { pid?: number; message?: string };
    return pid === undefined ? undefined : { pid, message };
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

/** conmon makes the socket that receives a terminal in $TMPDIR, and dies when the path is too long for a socket. */
function temporaryDirectory(bundle: Bundle): Record<string, string> {
  const directory = dirname(bundle.path);
  return Buffer.byteLength(directory) <= consoleSocketDirectoryBytesMax ? { TMPDIR: directory } : {};
}
