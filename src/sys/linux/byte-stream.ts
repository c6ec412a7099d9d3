import type { ByteStream } from '../process.ts';
import { DescriptorChannel } from './descriptor-channel.ts';
import { check, libc } from './libc.ts';

const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

const fcntl = libc<(fd: number, command: number, argument: number) => number>(
  'int fcntl(int fd, int command, int argument)',
);
const read = libc<(fd: number, buffer: Buffer, length: number) => number>(
  'long read(int fd, void *buffer, size_t length)',
);
const write = libc<(fd: number, data: Uint8Array, length: number) => number>(
  'long write(int fd, void *data, size_t length)',
);

/** ByteStream on a pipe's end or a pseudo terminal's master. */
export class LinuxByteStream implements ByteStream {
  onData: (data: Buffer) => void = () => {};
  onClose: (error?: Error) => void = () => {};
  readonly #channel: DescriptorChannel;
  readonly #direction: 'read' | 'write' | 'both';

  constructor(fd: number, direction: 'read' | 'write' | 'both', onGone: (self: LinuxByteStream) => void) {
    this.#direction = direction;
    // uv_poll does so only once something is waited for, and the first write comes before.
    check(fcntl(fd, F_SETFL, check(fcntl(fd, F_GETFL, 0), 'fcntl') | O_NONBLOCK), 'fcntl');
    this.#channel = new DescriptorChannel(
      fd,
      {
        ...(direction === 'write' ? {} : { read }),
        ...(direction === 'read' ? {} : { write }),
        ...(direction === 'write' ? { finishWrite: () => this.close() } : {}),
      },
      {
        onData: (data) => this.onData(data),
        onClose: (error) => {
          onGone(this);
          if (error === undefined) this.onClose();
          else this.onClose(error);
        },
      },
    );
  }

  write(data: Uint8Array): Promise<void> {
    return this.#channel.send(data);
  }

  endWrite(): void {
    if (this.#direction === 'write') this.#channel.finishWrite();
  }

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
  }

  drain(): void {
    this.#channel.drain();
  }

  close(): void {
    this.#channel.close();
  }
}
