import { closeSync, constants, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { PacketSocket } from '../process.ts';
import { check, cString, errno, libc, syscallError } from './libc.ts';
import { ReadinessWatch } from './readiness.ts';

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC_NONBLOCK = 0x80000 | 0x800;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
const MSG_DONTWAIT = 0x40;
const SHUT_WR = 1;
const O_PATH = 0o10000000;
const EAGAIN = 11;
const EINTR = 4;
const sunPathBytes = 108;
/** Larger than any packet of conmon's (8 KiB and the stream's byte). */
const packetBytesMax = 32 * 1024;
const slabBytes = 256 * 1024;
/** Packets taken in one turn of the event loop, so that one busy container does not starve the others. */
const packetsPerTurn = 64;

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
  const directory = openSync(dirname(path), O_PATH | constants.O_DIRECTORY);
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

interface Waiting {
  packet: Uint8Array;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** PacketSocket on a descriptor in the engine's own event loop. */
export class LinuxPacketSocket implements PacketSocket {
  onPacket: (packet: Buffer) => void = () => {};
  onClose: (error?: Error) => void = () => {};
  readonly #fd: number;
  readonly #watch: ReadinessWatch;
  readonly #onGone: (self: LinuxPacketSocket) => void;
  readonly #waiting: Waiting[] = [];
  #slab = Buffer.alloc(0);
  #paused = false;
  #ended = false;
  #closed = false;
  #shutdownWanted = false;

  /** @throws {SyscallError} ENOENT, ECONNREFUSED … @param onGone called once when it is closed */
  constructor(path: string, onGone: (self: LinuxPacketSocket) => void) {
    const fd = check(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC_NONBLOCK, 0), 'socket');
    try {
      withSocketAddress(path, (address) => check(connect(fd, address, address.length), 'connect', path));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#fd = fd;
    this.#onGone = onGone;
    this.#watch = new ReadinessWatch(fd, {
      readable: () => this.#receive(),
      writable: () => this.#sendWaiting(),
    });
    this.#rearm();
  }

  send(packet: Uint8Array): Promise<void> {
    if (this.#closed || this.#shutdownWanted) {
      return Promise.reject(syscallError('send', 32));
    }
    if (this.#waiting.length === 0) {
      try {
        if (this.#trySend(packet)) return Promise.resolve();
      } catch (error) {
        return Promise.reject(error as Error);
      }
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ packet, resolve, reject });
      this.#rearm();
    });
  }

  shutdownWrite(): void {
    if (this.#closed || this.#shutdownWanted) return;
    this.#shutdownWanted = true;
    if (this.#waiting.length === 0) shutdown(this.#fd, SHUT_WR);
  }

  pause(): void {
    this.#paused = true;
    this.#rearm();
  }

  resume(): void {
    this.#paused = false;
    this.#rearm();
  }

  close(): void {
    this.#finish(undefined);
  }

  #rearm(): void {
    if (!this.#closed) this.#watch.want(!this.#paused && !this.#ended, this.#waiting.length > 0);
  }

  #trySend(packet: Uint8Array): boolean {
    for (;;) {
      if (Number(send(this.#fd, packet, packet.byteLength, MSG_DONTWAIT_NOSIGNAL)) >= 0) return true;
      const number = errno();
      if (number === EAGAIN) return false;
      if (number !== EINTR) throw syscallError('send', number);
    }
  }

  #sendWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        if (!this.#trySend(next.packet)) return;
        next.resolve();
      } catch (error) {
        next.reject(error as Error);
      }
      this.#waiting.shift();
    }
    if (this.#shutdownWanted) shutdown(this.#fd, SHUT_WR);
    this.#rearm();
  }

  #receive(): void {
    for (let count = 0; count < packetsPerTurn && !this.#paused && !this.#closed; count++) {
      if (this.#slab.length < packetBytesMax) this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      const length = Number(recv(this.#fd, this.#slab, packetBytesMax, MSG_DONTWAIT));
      if (length > 0) {
        const packet = this.#slab.subarray(0, length);
        this.#slab = this.#slab.subarray(length);
        this.onPacket(packet);
        continue;
      }
      if (length === 0) {
        // A zero-length packet cannot be told from the end by recv; conmon sends none.
        this.#finish(undefined);
        return;
      }
      const number = errno();
      if (number === EINTR) continue;
      if (number !== EAGAIN) this.#finish(syscallError('recv', number));
      return;
    }
  }

  #finish(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended = true;
    this.#watch.close();
    closeSync(this.#fd);
    this.#slab = Buffer.alloc(0);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error ?? syscallError('send', 32));
    this.#onGone(this);
    if (error === undefined) this.onClose();
    else this.onClose(error);
  }
}
