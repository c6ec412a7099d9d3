import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { BuildRequest, SshAgent } from '../../builder/index.ts';
import { EngineError } from '../../errors/index.ts';

/** How long what was sent ahead waits for its build. */
const waitMs = 60_000;

/** How long a step waits for the client to take up a further connection to its agent. */
const connectMs = 10_000;

/**
 * The agents of one client. It keeps a connection to us in store, which a step's connection is joined with; when it sees
 * the first bytes it joins its own agent, and stores another.
 */
class ForwardedAgent implements SshAgent {
  readonly #stored: Duplex[] = [];
  readonly #waiting: ((connection: Duplex) => void)[] = [];

  store(connection: Duplex): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting(connection);
      return;
    }
    this.#stored.push(connection);
    const drop = (): void => {
      const at = this.#stored.indexOf(connection);
      if (at !== -1) this.#stored.splice(at, 1);
    };
    connection.on('close', drop).on('error', drop);
  }

  async connect(): Promise<Duplex> {
    for (let stored = this.#stored.shift(); stored !== undefined; stored = this.#stored.shift()) {
      if (!stored.destroyed) return stored;
    }
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    this.#waiting.push(resolve);
    const timer = setTimeout(() => {
      this.#waiting.splice(this.#waiting.indexOf(resolve), 1);
      reject(new EngineError('deadline-exceeded', 'the client does not forward its SSH agent'));
    }, connectMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    for (const connection of this.#stored.splice(0)) connection.destroy();
  }
}

/** The way of a cache from a build to a client's directory: the client waits at it until there is one. */
class CacheDoor {
  readonly #opened = Promise.withResolvers<AsyncIterable<Uint8Array> | undefined>();
  readonly #passed = Promise.withResolvers<void>();

  /** For the build. Resolves when the client has got all of it. */
  async send(layout: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    this.#opened.resolve(layout);
    const stop = (): void => this.#passed.reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      await this.#passed.promise;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** For the client. `write` is not called when the build ends without a cache. */
  async receive(write: (layout: AsyncIterable<Uint8Array>) => Promise<void>): Promise<boolean> {
    const layout = await this.#opened.promise;
    if (layout === undefined) return false;
    try {
      await write(layout);
      this.#passed.resolve();
    } catch (error) {
      this.#passed.reject(error);
      throw error;
    }
    return true;
  }

  close(): void {
    this.#opened.resolve(undefined);
  }
}

/** What a client lends to one build. In memory alone. */
export interface BuildLoan extends Disposable {
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly ssh: ReadonlyMap<string, SshAgent>;
  /** Names of caches that the client waits for. */
  readonly caches: Pick<ReadonlySet<string>, 'has'>;
  /** Gives it one. */
  receiveCache: NonNullable<BuildRequest['receiveCache']>;
}

/** What a client announces. */
export interface Lent {
  secrets: ReadonlyMap<string, Uint8Array>;
  /** Ids of SSH agents. */
  agents: readonly string[];
  /** Names of caches that it waits for. */
  caches: readonly string[];
}

class Loan implements BuildLoan {
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly ssh: ReadonlyMap<string, ForwardedAgent>;
  readonly caches: ReadonlyMap<string, CacheDoor>;
  readonly #end: () => void;

  constructor({ secrets, agents, caches }: Lent, end: () => void) {
    this.secrets = secrets;
    this.ssh = new Map(agents.map((id) => [id, new ForwardedAgent()]));
    this.caches = new Map(caches.map((id) => [id, new CacheDoor()]));
    this.#end = end;
  }

  async receiveCache(id: string, layout: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    await this.caches.get(id)?.send(layout, signal);
  }

  [Symbol.dispose](): void {
    this.#end();
    for (const lent of [...this.ssh.values(), ...this.caches.values()]) lent.close();
  }
}

const nothing: Lent = { secrets: new Map(), agents: [], caches: [] };

/** Secrets, SSH agents and caches that clients announce ahead of a build, each for one build. */
export class BuildSessions {
  readonly #loans = new Map<string, Loan>();
  readonly #taken = new Set<string>();

  /** @returns a ticket that the build shows */
  open(lent: Lent): string {
    const ticket = randomBytes(16).toString('hex');
    const forget = (): void => {
      this.#loans.delete(ticket);
      this.#taken.delete(ticket);
    };
    this.#loans.set(ticket, new Loan(lent, forget));
    setTimeout(() => {
      if (!this.#taken.has(ticket)) this.#loans.get(ticket)?.[Symbol.dispose]();
    }, waitMs).unref();
    return ticket;
  }

  /** Dispose it when the build has ended. @throws {EngineError} `invalid-parameter` */
  take(ticket: string | undefined): BuildLoan {
    if (ticket === undefined) return new Loan(nothing, () => undefined);
    const loan = this.#loans.get(ticket);
    if (loan === undefined || this.#taken.has(ticket)) {
      throw new EngineError('invalid-parameter', 'the secrets of this build are not there: send them again');
    }
    this.#taken.add(ticket);
    return loan;
  }

  /** Where a client gets a cache. @throws {EngineError} `not-found` */
  cache(ticket: string, id: string): Pick<CacheDoor, 'receive'> {
    const door = this.#loans.get(ticket)?.caches.get(id);
    if (door === undefined) throw new EngineError('not-found', `no build gives the cache ${id}`);
    return door;
  }

  /** Where connections to an agent go. @throws {EngineError} `not-found` */
  agent(ticket: string, id: string): { store(connection: Duplex): void } {
    const agent = this.#loans.get(ticket)?.ssh.get(id);
    if (agent === undefined) throw new EngineError('not-found', `no build waits for the SSH agent ${id}`);
    return agent;
  }
}
