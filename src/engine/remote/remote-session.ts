import type { AttachSession } from '../../containers/index.ts';
import { EngineError } from '../../errors/index.ts';
import type { Peer } from './peer.ts';

/** A session of the other side. */
export class RemoteSession implements AttachSession {
  readonly tty: boolean = false;
  onOutput: AttachSession['onOutput'] = () => undefined;
  onEnd: AttachSession['onEnd'] = () => undefined;
  readonly #reference: number;
  readonly #peer: Peer;
  readonly #onUsed: () => void;
  readonly #writes: PromiseWithResolvers<void>[] = [];
  #hasEnded = false;

  constructor(reference: number, peer: Peer, onUsed: () => void) {
    this.#reference = reference;
    this.#peer = peer;
    this.#onUsed = onUsed;
  }

  begin(): void {
    this.#peer.send({ session: { reference: this.#reference, does: 'begin' } });
  }

  writeInput(chunk: Uint8Array): Promise<void> {
    if (this.#hasEnded)
      return Promise.reject(new EngineError('unavailable', 'Cannot write: the session ended'));
    const written = Promise.withResolvers<void>();
    this.#writes.push(written);
    this.#peer.sendBytes('bytes', this.#reference, chunk);
    return written.promise;
  }

  closeInput(): void {
    this.#peer.send({ session: { reference: this.#reference, does: 'closeInput' } });
  }

  pause(): void {
    this.#peer.send({ session: { reference: this.#reference, does: 'pause' } });
  }

  resume(): void {
    this.#peer.send({ session: { reference: this.#reference, does: 'resume' } });
  }

  close(): void {
    if (this.#hasEnded) return;
    this.#peer.send({ session: { reference: this.#reference, does: 'close' } });
    this.#finish();
  }

  output(stream: 'stdout' | 'stderr', bytes: Buffer): void {
    if (!this.#hasEnded) this.onOutput(stream, bytes);
  }

  taken(error?: EngineError): void {
    const written = this.#writes.shift();
    if (error === undefined) written?.resolve();
    else written?.reject(error);
  }

  ended(detached: boolean, error?: EngineError): void {
    if (this.#hasEnded) return;
    this.onEnd({ detached, ...(error === undefined ? {} : { error }) });
    this.#finish();
  }

  #finish(): void {
    this.#hasEnded = true;
    for (const written of this.#writes.splice(0))
      written.reject(new EngineError('unavailable', 'Cannot write: the session ended'));
    this.#onUsed();
  }
}
