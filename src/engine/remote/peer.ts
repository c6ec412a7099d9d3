import type { Duplex } from 'node:stream';
import type { AttachSession } from '../../containers/index.ts';
import { EngineError } from '../../errors/index.ts';
import { FrameConnection, type ByteKind } from './frames.ts';
import { RemoteSession } from './remote-session.ts';
import { RemoteStream } from './remote-stream.ts';
import { ServedSession } from './served-session.ts';
import { ServedStream } from './served-stream.ts';
import {
  decode,
  decodeError,
  encode,
  encodeError,
  type EncodedError,
  type Live,
  type LiveKind,
} from './values.ts';

/**
 * One message. The numbers are those that the side gave that has the thing itself: `invoke`, `abort`, `pull`, `cancel` and
 * `session` are for it, `settle`, `reject`, `item`, `end` and `sessionEnd` come from it.
 */
export interface Message {
  call?: { method: string; args: unknown };
  result?: unknown;
  failure?: EncodedError;
  invoke?: { reference: number; args: unknown };
  abort?: number;
  settle?: { reference: number; value: unknown };
  reject?: { reference: number; error: EncodedError };
  pull?: number;
  cancel?: number;
  item?: { reference: number; value: unknown };
  end?: { reference: number; error?: EncodedError };
  session?: { reference: number; does: SessionOperation };
  taken?: { reference: number; error?: EncodedError };
  sessionEnd?: { reference: number; detached: boolean; error?: EncodedError };
}
export type SessionOperation = 'begin' | 'pause' | 'resume' | 'closeInput' | 'close';

export interface PeerOptions {
  onCall?: (method: string, args: unknown[]) => Promise<unknown>;
  onResult?: (result: { value: unknown } | { error: EngineError }) => void;
  /** The other side is gone. */
  onEnd: (error: EngineError) => void;
}

const lost = (cause?: Error): EngineError =>
  new EngineError('unavailable', 'Lost the connection to the engine', cause === undefined ? {} : { cause });

/**
 * One end of a connection on which one call is made: arguments and result may hold functions, promises, signals, streams and
 * sessions, which work across it.
 */
export class Peer {
  readonly #frames: FrameConnection;
  readonly #options: PeerOptions;
  #count = 0;
  #isClosed = false;
  // What this side has, and the other side uses.
  readonly #functions = new Map<number, Live['function']>();
  readonly #streams = new Map<number, ServedStream>();
  readonly #sessions = new Map<number, ServedSession>();
  readonly #signals: { signal: AbortSignal; listener: () => void }[] = [];
  // What the other side has, and this side uses.
  readonly #controllers = new Map<number, AbortController>();
  readonly #promises = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #remoteStreams = new Map<number, RemoteStream>();
  readonly #remoteSessions = new Map<number, RemoteSession>();
  #remoteFunctions = 0;

  constructor(connection: Duplex, rest: Buffer, options: PeerOptions) {
    this.#options = options;
    this.#frames = new FrameConnection(connection, rest, {
      onJson: (text) => this.#receive(JSON.parse(text) as Message),
      onBytes: (kind, reference, bytes) => this.#receiveBytes(kind, reference, bytes),
      onEnd: (error) => this.#end(lost(error)),
    });
    this.#frames.onDrain(() => {
      for (const session of this.#sessions.values()) session.drained();
    });
  }

  call(method: string, args: unknown[]): void {
    this.send({ call: { method, args: this.#encode(args) } });
  }

  send(message: Message): void {
    this.#frames.sendJson(JSON.stringify(message));
  }

  sendBytes(kind: ByteKind, reference: number, bytes: Uint8Array): boolean {
    return this.#frames.sendBytes(kind, reference, bytes);
  }

  /** True while something of the other side is in use here. */
  get isUsing(): boolean {
    return (
      this.#promises.size + this.#remoteStreams.size + this.#remoteSessions.size + this.#remoteFunctions > 0
    );
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#release();
    this.#frames.close();
  }

  #encode(value: unknown): unknown {
    return encode(value, (kind, live) => this.#export(kind, live));
  }

  #decode(value: unknown): unknown {
    return decode(value, (kind, reference) => this.#import(kind, reference));
  }

  #export<K extends LiveKind>(kind: K, value: Live[K]): number {
    const reference = ++this.#count;
    const exporters: { [Kind in LiveKind]: (live: Live[Kind]) => void } = {
      function: (live) => this.#functions.set(reference, live),
      promise: (live) => void this.#settle(reference, live),
      signal: (signal) => this.#watch(reference, signal),
      stream: (live) =>
        this.#streams.set(reference, new ServedStream(live, reference, this, (item) => this.#encode(item))),
      session: (live) => this.#sessions.set(reference, new ServedSession(live, reference, this)),
    };
    exporters[kind](value);
    return reference;
  }

  #import<K extends LiveKind>(kind: K, reference: number): Live[K] {
    const importers: { [Kind in LiveKind]: () => Live[Kind] } = {
      function: () => {
        this.#remoteFunctions++;
        return (...args) => this.send({ invoke: { reference, args: this.#encode(args) } });
      },
      promise: () => {
        const promise = Promise.withResolvers<unknown>();
        this.#promises.set(reference, promise);
        // Whoever does not wait for it does not mind its failure either.
        promise.promise.catch(() => undefined);
        return promise.promise;
      },
      signal: () => {
        const controller = new AbortController();
        this.#controllers.set(reference, controller);
        return controller.signal;
      },
      stream: () => {
        const stream = new RemoteStream(reference, this, () => this.#used(this.#remoteStreams, reference));
        this.#remoteStreams.set(reference, stream);
        return stream;
      },
      session: (): AttachSession => {
        const session = new RemoteSession(reference, this, () => this.#used(this.#remoteSessions, reference));
        this.#remoteSessions.set(reference, session);
        return session;
      },
    };
    return importers[kind]();
  }

  async #settle(reference: number, promise: Promise<unknown>): Promise<void> {
    try {
      const value: unknown = await promise;
      this.send({ settle: { reference, value: this.#encode(value) } });
    } catch (error) {
      this.send({ reject: { reference, error: encodeError(error) } });
    }
  }

  #watch(reference: number, signal: AbortSignal): void {
    const listener = (): void => this.send({ abort: reference });
    signal.addEventListener('abort', listener, { once: true });
    this.#signals.push({ signal, listener });
    // Only after the call that it belongs to.
    if (signal.aborted) queueMicrotask(listener);
  }

  #used(from: Map<number, unknown>, reference: number): void {
    from.delete(reference);
    this.#closeUnused();
  }

  /** The one who called ends the connection when nothing of the answer is in use any more. */
  #closeUnused(): void {
    if (this.#options.onCall === undefined && !this.isUsing) this.close();
  }

  #receive(message: Message): void {
    const { call, invoke, settle, reject, item, end, session, taken, sessionEnd } = message;
    if (call !== undefined) void this.#answer(call.method, this.#decode(call.args) as unknown[]);
    if ('result' in message) this.#result({ value: this.#decode(message.result) });
    if (message.failure !== undefined) this.#result({ error: decodeError(message.failure) });
    if (invoke !== undefined) {
      const called = this.#functions.get(invoke.reference);
      called?.(...(this.#decode(invoke.args) as unknown[]));
    }
    if (message.abort !== undefined) this.#controllers.get(message.abort)?.abort();
    if (message.pull !== undefined) this.#streams.get(message.pull)?.pull();
    if (message.cancel !== undefined) this.#streams.get(message.cancel)?.cancel();
    if (settle !== undefined) this.#resolve(settle.reference, (p) => p.resolve(this.#decode(settle.value)));
    if (reject !== undefined) this.#resolve(reject.reference, (p) => p.reject(decodeError(reject.error)));
    if (item !== undefined) this.#remoteStreams.get(item.reference)?.push(this.#decode(item.value));
    if (end !== undefined) this.#remoteStreams.get(end.reference)?.end(end.error && decodeError(end.error));
    if (session !== undefined) this.#sessions.get(session.reference)?.does(session.does);
    if (taken !== undefined)
      this.#remoteSessions.get(taken.reference)?.taken(taken.error && decodeError(taken.error));
    if (sessionEnd !== undefined) {
      const { reference, detached, error } = sessionEnd;
      this.#remoteSessions.get(reference)?.ended(detached, error && decodeError(error));
    }
  }

  #receiveBytes(kind: ByteKind, reference: number, bytes: Buffer): void {
    if (kind !== 'bytes') this.#remoteSessions.get(reference)?.output(kind, bytes);
    else if (this.#remoteStreams.has(reference)) this.#remoteStreams.get(reference)?.push(bytes);
    else this.#sessions.get(reference)?.input(bytes);
  }

  async #answer(method: string, args: unknown[]): Promise<void> {
    try {
      const value = await this.#options.onCall?.(method, args);
      this.send({ result: this.#encode(value) });
    } catch (error) {
      this.send({ failure: encodeError(error) });
    }
  }

  #result(result: { value: unknown } | { error: EngineError }): void {
    this.#options.onResult?.(result);
    this.#closeUnused();
  }

  #resolve(reference: number, how: (promise: PromiseWithResolvers<unknown>) => void): void {
    const promise = this.#promises.get(reference);
    if (promise === undefined) return;
    this.#promises.delete(reference);
    how(promise);
    // A function that came with a promise is there to give it up.
    this.#remoteFunctions = 0;
    this.#closeUnused();
  }

  #end(error: EngineError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const promise of this.#promises.values()) promise.reject(error);
    for (const stream of this.#remoteStreams.values()) stream.end(error);
    for (const session of this.#remoteSessions.values()) session.ended(false, error);
    this.#release();
    this.#options.onEnd(error);
  }

  /**
   * Nobody uses any more what is here: streams and sessions end, what was asked with a signal is given up, and functions in
   * an answer are called, which are all there to end what they came with.
   */
  #release(): void {
    for (const { signal, listener } of this.#signals) signal.removeEventListener('abort', listener);
    for (const controller of this.#controllers.values()) controller.abort();
    for (const stream of this.#streams.values()) stream.cancel();
    for (const session of this.#sessions.values()) session.does('close');
    if (this.#options.onCall !== undefined) for (const ends of this.#functions.values()) ends();
    this.#functions.clear();
  }
}
