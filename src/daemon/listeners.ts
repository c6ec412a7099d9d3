import { chmodSync, chownSync, mkdirSync, readFileSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { EngineError, errorMessage } from '../errors/index.ts';
import type { Host } from './hosts.ts';

export interface ListenOptions {
  /** One server for each socket. */
  createServer: (host: Host) => Server;
  group: string;
  groupRequired: boolean;
  onWarning: (message: string) => void;
}

/**
 * Opens every socket, in order; when one cannot be opened the others are closed again.
 * @throws {EngineError} `unavailable` "failed to load listeners: …"
 */
export async function listenAll(hosts: readonly Host[], options: ListenOptions): Promise<Server[]> {
  const servers: Server[] = [];
  try {
    for (const host of hosts) {
      if (host.kind === 'fd') {
        for (const fd of inheritedDescriptors(host.select)) {
          servers.push(await listen(options.createServer(host), { fd }));
        }
      } else if (host.kind === 'unix') servers.push(await listenUnix(host.path, host, options));
      else {
        servers.push(await listen(options.createServer(host), { host: host.address, port: host.port }));
      }
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw new EngineError('unavailable', `failed to load listeners: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  return servers;
}

async function listenUnix(path: string, host: Host, options: ListenOptions): Promise<Server> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  await removeStale(path);
  const gid = groupId(options);
  const server = options.createServer(host);
  // Nobody may connect between bind and chmod.
  const mask = process.umask(0o177);
  try {
    await listen(server, { path });
  } finally {
    process.umask(mask);
  }
  if (gid !== undefined) chownSync(path, 0, gid);
  chmodSync(path, 0o660);
  return server;
}

/** A socket file that nobody answers at is left from a crash; one that answers belongs to somebody. */
async function removeStale(path: string): Promise<void> {
  const code = await new Promise<string | undefined>((resolve) => {
    const probe = connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
  if (code === 'ENOENT') return;
  if (code === undefined) {
    throw new EngineError('unavailable', `can't create unix socket ${path}: another process answers there`);
  }
  try {
    unlinkSync(path);
  } catch (error) {
    throw new EngineError('unavailable', `can't create unix socket ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

function listen(
  server: Server,
  where: { fd: number } | { path: string } | { host: string; port: number },
): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.removeListener('error', reject);
      resolve(server);
    });
  });
}

function groupId({ group, groupRequired, onWarning }: ListenOptions): number | undefined {
  if (/^\d+$/.test(group)) return Number(group);
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${group}:`));
  const gid = line?.split(':')[2];
  if (gid !== undefined) return Number(gid);
  if (groupRequired) throw new EngineError('invalid-parameter', `group ${group} not found`);
  onWarning(`could not change group of the socket to ${group}: group ${group} not found`);
  return undefined;
}

const firstInherited = 3;

/** sd_listen_fds(3): descriptors from 3 on when LISTEN_PID is ours; `select` picks one by number or name. */
function inheritedDescriptors(select: string): number[] {
  const count = Number(process.env['LISTEN_FDS'] ?? 0);
  if (process.env['LISTEN_PID'] !== String(process.pid) || !(count > 0)) {
    throw new EngineError(
      'unavailable',
      'no sockets found via socket activation: make sure the service was started by systemd',
    );
  }
  const descriptors = Array.from({ length: count }, (_item, at) => firstInherited + at);
  if (select === '' || select === '*') return descriptors;
  const names = (process.env['LISTEN_FDNAMES'] ?? '').split(':');
  const chosen = descriptors.filter(
    (fd, at) => String(fd) === select || String(at) === select || names[at] === select,
  );
  if (chosen.length === 0) {
    throw new EngineError('unavailable', `failed to find a socket activated file descriptor ${select}`);
  }
  return chosen;
}
