import { closeSync, unlinkSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import { check, errno, koffi, libc, syscallError } from './libc.ts';
import { withSocketAddress } from './packet-socket.ts';
import { ReadinessWatch } from './readiness.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC_NONBLOCK = 0x80000 | 0x800;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const EAGAIN = 11;

const socket = libc<(domain: number, type: number, protocol: number) => number>(
  'int socket(int domain, int type, int protocol)',
);
const bind = libc<(fd: number, address: Buffer, length: number) => number>(
  'int bind(int fd, void *address, unsigned int length)',
);
const listen = libc<(fd: number, backlog: number) => number>('int listen(int fd, int backlog)');
const accept4 = libc<(fd: number, address: null, length: null, flags: number) => number>(
  'int accept4(int fd, void *address, void *length, int flags)',
);
const recvmsg = libc<(fd: number, message: Buffer, flags: number) => number>(
  'long recvmsg(int fd, void *message, int flags)',
);

/** Receives one descriptor by SCM_RIGHTS, as OCI runtimes send a pseudo terminal to their console socket. */
export function listenForDescriptor(path: string): { received: Promise<number>; close(): void } {
  const server = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC_NONBLOCK, 0), 'socket');
  try {
    withSocketAddress(path, (address) => check(bind(server, address, address.length), 'bind', path));
    check(listen(server, 1), 'listen', path);
  } catch (error) {
    closeSync(server);
    throw error;
  }
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  // Whoever closes the listener without waiting must not get an unhandled rejection.
  promise.catch(() => {});
  let connection: { fd: number; watch: ReadinessWatch } | undefined;
  let closed = false;

  const close = (): void => {
    if (closed) return;
    closed = true;
    serverWatch.close();
    closeSync(server);
    connection?.watch.close();
    if (connection !== undefined) closeSync(connection.fd);
    try {
      unlinkSync(path);
    } catch {
      // Removed together with its directory.
    }
    reject(new EngineError('cancelled', `Cannot receive a descriptor at ${path}: closed`));
  };

  const serverWatch = new ReadinessWatch(server, {
    readable: () => {
      const fd = accept4(server, null, null, SOCK_CLOEXEC_NONBLOCK);
      if (fd < 0) return;
      serverWatch.want(false, false);
      const watch = new ReadinessWatch(fd, {
        readable: () => {
          try {
            const received = receiveDescriptor(fd);
            if (received === undefined) return;
            resolve(received);
          } catch (error) {
            reject(error);
          }
          close();
        },
      });
      connection = { fd, watch };
      watch.want(true, false);
    },
  });
  serverWatch.want(true, false);
  return { received: promise, close };
}

/** Undefined when nothing has come yet. */
function receiveDescriptor(fd: number): number | undefined {
  // struct iovec, struct msghdr and one struct cmsghdr with one int, as laid out on 64-bit Linux.
  const data = Buffer.alloc(4096);
  const vector = Buffer.alloc(128);
  vector.writeBigUInt64LE(koffi().address(data), 0);
  vector.writeBigUInt64LE(BigInt(data.length), 8);
  const control = Buffer.alloc(128);
  const message = Buffer.alloc(128);
  message.writeBigUInt64LE(koffi().address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(koffi().address(control), 32);
  message.writeBigUInt64LE(24n, 40);
  const length = Number(recvmsg(fd, message, MSG_CMSG_CLOEXEC));
  if (length < 0) {
    const number = errno();
    if (number === EAGAIN) return undefined;
    throw syscallError('recvmsg', number);
  }
  const isDescriptor =
    message.readBigUInt64LE(40) >= 20n &&
    control.readInt32LE(8) === SOL_SOCKET &&
    control.readInt32LE(12) === SCM_RIGHTS;
  if (!isDescriptor) throw new EngineError('internal', 'Cannot receive a descriptor: none was sent');
  return control.readInt32LE(16);
}
