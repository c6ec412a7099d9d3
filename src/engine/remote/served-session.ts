import type { AttachSession } from '../../containers/index.ts';
import type { Peer, SessionOperation } from './peer.ts';
import { encodeError } from './values.ts';

/** A session of this side, in use by the other. */
export class ServedSession {
  readonly #session: AttachSession;
  readonly #reference: number;
  readonly #peer: Peer;
  #isFull = false;
  #isPaused = false;
  #hasEnded = false;

  constructor(session: AttachSession, reference: number, peer: Peer) {
    this.#session = session;
    this.#reference = reference;
    this.#peer = peer;
    session.onOutput = (stream, chunk) => {
      if (peer.sendBytes(stream, reference, chunk)) return;
      this.#isFull = true;
      session.pause();
    };
    session.onEnd = ({ detached, error }) => {
      this.#hasEnded = true;
      const why = error === undefined ? {} : { error: encodeError(error) };
      peer.send({ sessionEnd: { reference, detached, ...why } });
    };
  }

  /** The connection takes more. */
  drained(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    if (!this.#isPaused && !this.#hasEnded) this.#session.resume();
  }

  input(chunk: Buffer): void {
    const reference = this.#reference;
    this.#session.writeInput(chunk).then(
      () => this.#peer.send({ taken: { reference } }),
      (error: unknown) => this.#peer.send({ taken: { reference, error: encodeError(error) } }),
    );
  }

  does(operation: SessionOperation): void {
    if (this.#hasEnded) return;
    if (operation === 'pause' || operation === 'resume') {
      this.#isPaused = operation === 'pause';
      if (this.#isFull) return;
    }
    if (operation === 'close') this.#hasEnded = true;
    this.#session[operation]();
  }
}
