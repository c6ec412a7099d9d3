import { EngineError } from '../errors/index.ts';
import type { AttachRequest } from './containers.ts';
import { parseDetachKeys } from './detach-keys.ts';
import type { ContainerEntry } from './entry.ts';
import { assertReadable } from './log-settings.ts';
import { readLog } from './logs.ts';
import { ContainerSession } from './session.ts';
import type { ContainerTable } from './table.ts';

/**
 * Attaches a client to a container, running or not: one that is created first gets all output from the first byte.
 * @throws {EngineError} `conflict` when paused or restarting
 * @see moby daemon/attach.go
 */
export function attachContainer(
  table: ContainerTable,
  entry: ContainerEntry,
  nameOrId: string,
  request: AttachRequest,
): ContainerSession {
  const detachKeys = parseDetachKeys(request.detachKeys);
  const { record } = entry;
  if (record.state.status === 'paused') {
    throw new EngineError('conflict', `container ${nameOrId} is paused, unpause the container before attach`);
  }
  if (record.state.status === 'restarting') {
    throw new EngineError(
      'conflict',
      `container ${nameOrId} is restarting, wait until the container is running`,
    );
  }
  if (request.logs) assertReadable(record.hostConfig.LogConfig);
  const { OpenStdin: openStdin, StdinOnce: stdinOnce, Tty: tty } = record.config;
  const session: ContainerSession = new ContainerSession({
    tty,
    stdin: request.stdin && openStdin,
    stdout: request.stdout,
    stderr: request.stderr,
    closeInput: stdinOnce && !tty,
    detachKeys,
    replay: request.logs
      ? () => readLog(table, entry, { stdout: request.stdout || tty, stderr: request.stderr, follow: false })
      : null,
    live: request.stream,
    onDetach: () => table.publish(entry, 'detach'),
    onClosed: () => void entry.sessions.delete(session),
  });
  table.publish(entry, 'attach');
  if (request.stream) {
    entry.sessions.add(session);
    if (entry.task !== null) session.connect(entry.task.attach());
  }
  return session;
}
