import type { ByteStream } from '../process.ts';
import { DescriptorChannel } from './descriptor-channel.ts';
import { libc } from './libc.ts';

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
