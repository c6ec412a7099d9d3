import { closeSync } from 'node:fs';
import type { DatagramSocket } from '../process.ts';
import { errno, koffi, libc } from './libc.ts';
import { ReadinessWatch } from './readiness.ts';

const recvmmsg = libc<(fd: number, headers: Buffer, count: number, flags: number, timeout: null) => number>(
  'int recvmmsg(int fd, void *headers, unsigned int count, int flags, void *timeout)',
);
const sendmmsg = libc<(fd: number, headers: Buffer, count: number, flags: number) => number>(
  'int sendmmsg(int fd, void *headers, unsigned int count, int flags)',
);

const EINTR = 4;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
/** Datagrams in one system call. */
const batchSize = 32;
/** Before other descriptors have their turn. */
const batchesPerTurn = 4;
const receiveBytes = 4096;
/** More than the largest datagram. */
const sendBytes = 128 * 1024;
/** struct sockaddr_in. */
const nameBytes = 16;
/** struct mmsghdr and struct iovec where pointers have eight bytes. */
const headerBytes = 64;
const vectorBytes = 16;
const headerAt = { name: 0, nameLength: 8, vector: 16, vectorCount: 24, flags: 48, length: 56 } as const;

/** Datagrams in memory as recvmmsg(2) and sendmmsg(2) want them. */
class Datagrams {
  readonly headers = Buffer.allocUnsafeSlow(batchSize * headerBytes).fill(0);
  readonly names = Buffer.allocUnsafeSlow(batchSize * nameBytes).fill(0);
  readonly data: Buffer;
  readonly #vectors = Buffer.allocUnsafeSlow(batchSize * vectorBytes);
  readonly #dataAddress: bigint;

  constructor(bytes: number) {
    this.data = Buffer.allocUnsafeSlow(bytes);
    const { address } = koffi();
    this.#dataAddress = address(this.data);
    const [names, vectors] = [address(this.names), address(this.#vectors)];
    for (let index = 0; index < batchSize; index++) {
      const at = index * headerBytes;
      this.headers.writeBigUInt64LE(names + BigInt(index * nameBytes), at + headerAt.name);
      this.headers.writeUInt32LE(nameBytes, at + headerAt.nameLength);
      this.headers.writeBigUInt64LE(vectors + BigInt(index * vectorBytes), at + headerAt.vector);
      this.headers.writeUInt32LE(1, at + headerAt.vectorCount);
    }
  }

  /** Where in `data` a datagram is, or is to be. */
  place(index: number, offset: number, length: number): void {
    const at = index * vectorBytes;
    this.#vectors.writeBigUInt64LE(this.#dataAddress + BigInt(offset), at);
    this.#vectors.writeBigUInt64LE(BigInt(length), at + 8);
  }
}

/** What is to be sent by one socket. */
class Outbox {
  readonly #datagrams = new Datagrams(sendBytes);
  #fd = -1;
  #count = 0;
  #used = 0;

  put(fd: number, message: Uint8Array, to: Uint8Array): void {
    if (fd !== this.#fd || this.#count === batchSize || this.#used + message.length > sendBytes) this.flush();
    this.#fd = fd;
    this.#datagrams.data.set(message, this.#used);
    this.#datagrams.names.set(to, this.#count * nameBytes);
    this.#datagrams.place(this.#count, this.#used, message.length);
    this.#used += message.length;
    this.#count++;
  }

  flush(): void {
    const { headers } = this.#datagrams;
    for (let sent = 0; sent < this.#count;) {
      const taken = sendmmsg(
        this.#fd,
        headers.subarray(sent * headerBytes),
        this.#count - sent,
        MSG_DONTWAIT,
      );
      // One that the kernel does not take is lost, as datagrams may be.
      if (taken >= 0) sent += taken;
      else if (errno() !== EINTR) sent++;
    }
    this.#count = 0;
    this.#used = 0;
  }
}

/** For all sockets together: whatever is read is dealt with, and whatever is answered sent, before the next is looked at. */
let inbox: Datagrams | undefined;
let outbox: Outbox | undefined;

function openInbox(): Datagrams {
  if (inbox === undefined) {
    inbox = new Datagrams(batchSize * receiveBytes);
    for (let index = 0; index < batchSize; index++) inbox.place(index, index * receiveBytes, receiveBytes);
  }
  return inbox;
}

/** DatagramSocket in the engine's own event loop. */
export class LinuxDatagramSocket implements DatagramSocket {
  readonly #fd: number;
  readonly #watch: ReadinessWatch;
  readonly #onMessage: (message: Buffer, from: Buffer) => void;
  readonly #onGone: (self: LinuxDatagramSocket) => void;
  #isReading = false;
  #isClosed = false;

  /** @param onGone called once when it is closed */
  constructor(
    fd: number,
    onMessage: (message: Buffer, from: Buffer) => void,
    onGone: (self: LinuxDatagramSocket) => void,
  ) {
    this.#fd = fd;
    this.#onMessage = onMessage;
    this.#onGone = onGone;
    this.#watch = new ReadinessWatch(fd, { readable: () => this.#read() });
    this.#watch.unref();
    this.#watch.want(true, false);
  }

  send(message: Uint8Array, to: Uint8Array): void {
    if (this.#isClosed) return;
    outbox ??= new Outbox();
    outbox.put(this.#fd, message, to);
    if (!this.#isReading) outbox.flush();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // The number may be another socket's in a moment.
    outbox?.flush();
    this.#watch.close();
    closeSync(this.#fd);
    this.#onGone(this);
  }

  #read(): void {
    this.#isReading = true;
    try {
      for (let batch = 0; batch < batchesPerTurn && !this.#isClosed; batch++) {
        const count = this.#readBatch();
        outbox?.flush();
        if (count < batchSize) break;
      }
    } finally {
      this.#isReading = false;
    }
  }

  /** @returns how many datagrams there were; what went wrong meanwhile is the next call's to find */
  #readBatch(): number {
    const { headers, names, data } = openInbox();
    const count = recvmmsg(this.#fd, headers, batchSize, MSG_DONTWAIT, null);
    for (let index = 0; index < count && !this.#isClosed; index++) {
      const header = index * headerBytes;
      if ((headers.readUInt32LE(header + headerAt.flags) & MSG_TRUNC) !== 0) continue;
      const begin = index * receiveBytes;
      const message = data.subarray(begin, begin + headers.readUInt32LE(header + headerAt.length));
      this.#onMessage(message, names.subarray(index * nameBytes, (index + 1) * nameBytes));
    }
    return count;
  }
}
