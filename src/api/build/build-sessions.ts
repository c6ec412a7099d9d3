import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { SshAgent } from '../../builder/index.ts';
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

/** What a client lends to one build. In memory alone. */
export interface BuildLoan extends Disposable {
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly ssh: ReadonlyMap<string, SshAgent>;
}

class Loan implements BuildLoan {
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly ssh: ReadonlyMap<string, ForwardedAgent>;
  readonly #end: () => void;

  constructor(secrets: ReadonlyMap<string, Uint8Array>, agents: readonly string[], end: () => void) {
    this.secrets = secrets;
    this.ssh = new Map(agents.map((id) => [id, new ForwardedAgent()]));
    this.#end = end;
  }

  [Symbol.dispose](): void {
    this.#end();
    for (const agent of this.ssh.values()) agent.close();
  }
}

/** Secrets and SSH agents that clients announce ahead of a build, each for one build. */
export class BuildSessions {
  readonly #loans = new Map<string, Loan>();
  readonly #taken = new Set<string>();

  /** @returns a ticket that the build shows */
  open(secrets: ReadonlyMap<string, Uint8Array>, agents: readonly string[]): string {
    const ticket = randomBytes(16).toString('hex');
    const forget = (): void => {
      this.#loans.delete(ticket);
      this.#taken.delete(ticket);
    };
    this.#loans.set(ticket, new Loan(secrets, agents, forget));
    setTimeout(() => {
      if (!this.#taken.has(ticket)) this.#loans.get(ticket)?.[Symbol.dispose]();
    }, waitMs).unref();
    return ticket;
  }

  /** Dispose it when the build has ended. @throws {EngineError} `invalid-parameter` */
  take(ticket: string | undefined): BuildLoan {
    if (ticket === undefined) return new Loan(new Map(), [], () => undefined);
    const loan = this.#loans.get(ticket);
    if (loan === undefined || this.#taken.has(ticket)) {
      throw new EngineError('invalid-parameter', 'the secrets of this build are not there: send them again');
    }
    this.#taken.add(ticket);
    return loan;
  }

  /** Where connections to an agent go. @throws {EngineError} `not-found` */
  agent(ticket: string, id: string): { store(connection: Duplex): void } {
    const agent = this.#loans.get(ticket)?.ssh.get(id);
    if (agent === undefined) throw new EngineError('not-found', `no build waits for the SSH agent ${id}`);
    return agent;
  }
}
