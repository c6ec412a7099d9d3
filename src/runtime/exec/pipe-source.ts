import type { ByteStream } from '../../sys/index.ts';
import { isInputGone, type StreamSource } from '../streams/stream-source.ts';

/** The engine's ends of a process's own standard streams: pipes, or one pseudo terminal as both input and output. */
export class PipeSource implements StreamSource {
  onOutput: StreamSource['onOutput'] = () => {};
  onEnd: StreamSource['onEnd'] = () => {};
  readonly #input: ByteStream | undefined;
  readonly #outputs: Set<ByteStream>;
  #isEnded = false;

  constructor(streams: {
    input?: ByteStream | undefined;
    stdout: ByteStream;
    stderr?: ByteStream | undefined;
  }) {
    this.#input = streams.input;
    this.#outputs = new Set([streams.stdout, ...(streams.stderr === undefined ? [] : [streams.stderr])]);
    for (const stream of this.#outputs) {
      const name = stream === streams.stderr ? 'stderr' : 'stdout';
      stream.onData = (data) => this.onOutput(name, data);
      stream.onClose = (error) => {
        this.#outputs.delete(stream);
        if (this.#outputs.size === 0) this.#end(error);
      };
    }
  }

  async send(chunk: Uint8Array): Promise<void> {
    try {
      await this.#input?.write(chunk);
    } catch (error) {
      if (!isInputGone(error)) throw error;
    }
  }

  closeInput(): void {
    this.#input?.endWrite();
  }

  pause(): void {
    for (const stream of this.#outputs) stream.pause();
  }

  resume(): void {
    for (const stream of this.#outputs) stream.resume();
  }

  /**
   * The process has ended: delivers what it wrote and ends. A child that it left behind may hold the pipes open for
   * ever; its output is no longer the session's.
   */
  finish(): void {
    for (const stream of this.#outputs) stream.drain();
    this.close();
  }

  close(): void {
    for (const stream of this.#outputs) stream.close();
    this.#input?.close();
    this.#end(undefined);
  }

  #end(error: Error | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#input?.close();
    if (error === undefined) this.onEnd();
    else this.onEnd(error);
  }
}
