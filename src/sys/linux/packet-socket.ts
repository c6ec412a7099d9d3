import { closeSync, constants } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { PacketSocket } from '../process.ts';
import { DescriptorChannel } from './descriptor-channel.ts';
import { check, cString, libc, open } from './libc.ts';

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC_NONBLOCK = 0x80000 | 0x800;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
const MSG_DONTWAIT = 0x40;
const SHUT_WR = 1;
const O_PATH = 0o10000000;
const sunPathBytes = 108;
const socket = libc<(domain: number, type: number, protocol: number) => number>(
  'int socket(int domain, int type, int protocol)',
);
const connect = libc<(fd: number, address: Buffer, length: number) => number>(
  'int connect(int fd, void *address, unsigned int length)',
);
const recv = libc<(fd: number, buffer: Buffer, length: number, flags: number) => number>(
  'long recv(int fd, void *buffer, size_t length, int flags)',
);
const send = libc<(fd: number, buffer: Uint8Array, length: number, flags: number) => number>(
  'long send(int fd, void *buffer, size_t length, int flags)',
);
const shutdown = libc<(fd: number, how: number) => number>('int shutdown(int fd, int how)');

/** Calls back with a sockaddr_un for the path; one that is too long is reached through its directory's descriptor. */
export function withSocketAddress<T>(path: string, body: (address: Buffer) => T): T {
  cString(path, 'connect');
  if (Buffer.byteLength(path) < sunPathBytes) return body(socketAddress(path));
  const directory = open(dirname(path), O_PATH | constants.O_DIRECTORY);
  try {
    return body(socketAddress(`/proc/self/fd/${directory}/${basename(path)}`));
  } finally {
    closeSync(directory);
  }
}

function socketAddress(path: string): Buffer {
  const address = Buffer.alloc(2 + sunPathBytes);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(path, 2);
  return address;
}

/** PacketSocket on a descriptor in the engine's own event loop. */
export class LinuxPacketSocket implements PacketSocket {
  onPacket: (packet: Buffer) => void = () => {};
  onClose: (error?: Error) => void = () => {};
  readonly #channel: DescriptorChannel;

  /** @throws {SyscallError} ENOENT, ECONNREFUSED … @param onGone called once when it is closed */
  constructor(path: string, onGone: (self: LinuxPacketSocket) => void) {
    const fd = check(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC_NONBLOCK, 0), 'socket');
    try {
      withSocketAddress(path, (address) => check(connect(fd, address, address.length), 'connect', path));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#channel = new DescriptorChannel(
      fd,
      {
        // A zero-length packet cannot be told from the end; conmon sends none.
        read: (own, buffer, length) => recv(own, buffer, length, MSG_DONTWAIT),
        write: (own, data, length) => send(own, data, length, MSG_DONTWAIT_NOSIGNAL),
        finishWrite: (own) => void shutdown(own, SHUT_WR),
      },
      {
        onData: (packet) => this.onPacket(packet),
        onClose: (error) => {
          onGone(this);
          if (error === undefined) this.onClose();
          else this.onClose(error);
        },
      },
    );
  }

  send(packet: Uint8Array): Promise<void> {
    return this.#channel.send(packet);
  }

  shutdownWrite(): void {
    this.#channel.finishWrite();
  }

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  close(): void {
    this.#channel.close();
  }
}
