import type { PacketSocket } from '../../sys/index.ts';
import { isInputGone, type StreamSource } from '../streams/stream-source.ts';

/** conmon reads at most this much of a packet. */
const inputBytesMax = 32 * 1024;
const stdoutByte = 2;
const stderrByte = 3;

/** conmon's attach protocol: packets out are one byte naming the stream and up to 8 KiB of data, packets in are data. */
export class AttachSource implements StreamSource {
  onOutput: StreamSource['onOutput'] = () => {};
  onEnd: StreamSource['onEnd'] = () => {};
  readonly #socket: PacketSocket;

  constructor(socket: PacketSocket) {
    this.#socket = socket;
    socket.onPacket = (packet) => {
      if (packet[0] === stdoutByte) this.onOutput('stdout', packet.subarray(1));
      else if (packet[0] === stderrByte) this.onOutput('stderr', packet.subarray(1));
    };
    socket.onClose = (error) => (error === undefined ? this.onEnd() : this.onEnd(error));
  }

  async send(chunk: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < chunk.byteLength; at += inputBytesMax) {
        await this.#socket.send(chunk.subarray(at, at + inputBytesMax));
      }
    } catch (error) {
      if (!isInputGone(error)) throw error;
    }
  }

  closeInput(): void {
    this.#socket.shutdownWrite();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.close();
  }
}
