import { existsSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ApiClient } from '../../client/index.ts';
import type { Cli } from '../cli.ts';
import { parseCsv } from '../opts/csv.ts';
import { receiveCache } from './caches.ts';

/** What we let a build use for its time. */
export interface Lent extends Disposable {
  /** For the request of the build. */
  headers: Record<string, string>;
  /** Resolves when the caches that the build gives are in their directories; once it has ended. */
  received(): Promise<void>;
}

/**
 * Hands secrets and agents over apart from the build, so that they are in no URL and no log. Secrets are sent; agents stay
 * here and are spoken to through us.
 * @throws {Error} with docker's texts
 */
export async function lend(
  cli: Cli,
  given: { secrets: readonly string[]; ssh: readonly string[]; caches: ReadonlyMap<string, string> },
): Promise<Lent> {
  const secrets = Object.fromEntries(given.secrets.map((text) => readSecret(cli, text)));
  const agents = new Map(await Promise.all(given.ssh.map((text) => agentOf(cli, text))));
  if (given.secrets.length === 0 && agents.size === 0 && given.caches.size === 0) {
    return { headers: {}, received: async () => undefined, [Symbol.dispose]: () => undefined };
  }
  const client = await cli.client();
  const { Ticket } = await client.post<{ Ticket: string }>('/coracle/build/session', {
    json: { Secrets: secrets, Agents: [...agents.keys()], Caches: [...given.caches.keys()] },
  });
  const forwards: Forward[] = [];
  for (const [id, agent] of agents) forwards.push(await Forward.open(client, Ticket, id, agent));
  const receiving = [...given.caches].map(([id, directory]) =>
    receiveCache(client, { ticket: Ticket, id }, directory),
  );
  // Told by received(), or not of interest since the build has failed.
  for (const cache of receiving) cache.catch(() => undefined);
  return {
    headers: { 'X-Coracle-Build-Session': Ticket },
    received: async () => void (await Promise.all(receiving)),
    [Symbol.dispose]() {
      for (const forward of forwards) forward.close();
    },
  };
}

/** `id=ID,src=FILE`, `id=ID,env=NAME`. */
function readSecret(cli: Cli, specification: string): [id: string, base64: string] {
  const fields = new Map<string, string>();
  for (const field of parseCsv(specification)) {
    const equals = field.indexOf('=');
    if (equals === -1) throw new Error(`invalid field '${field}' must be a key=value pair`);
    fields.set(field.slice(0, equals).toLowerCase(), field.slice(equals + 1));
  }
  const type = fields.get('type') ?? '';
  if (type !== '' && type !== 'file' && type !== 'env')
    throw new Error(`unsupported secret type ${JSON.stringify(type)}`);
  for (const name of fields.keys()) {
    if (!['type', 'id', 'source', 'src', 'env'].includes(name)) {
      throw new Error(`unexpected key '${name}' in '${name}=${fields.get(name) ?? ''}'`);
    }
  }
  const id = fields.get('id') ?? '';
  if (id === '') throw new Error(`invalid secret ${specification}: it has no id`);
  const source = fields.get('src') ?? fields.get('source');
  const isVariable = type === 'env';
  const path = isVariable ? undefined : source;
  const variable =
    fields.get('env') ?? (isVariable ? source : undefined) ?? (path === undefined ? id : undefined);
  const value = variable === undefined || type === 'file' ? undefined : cli.env[variable];
  if (value !== undefined) return [id, Buffer.from(value).toString('base64')];
  const file = path ?? id;
  if (!existsSync(file)) throw new Error(`failed to stat ${file}: no such file or directory`);
  return [id, readFileSync(file).toString('base64')];
}

/**
 * `default`, `id`, `id=SOCKET`, `id=KEY,KEY`: keys are served by an agent of ours.
 * @returns what opens a connection to the agent
 */
async function agentOf(cli: Cli, specification: string): Promise<[id: string, open: () => Duplex]> {
  const equals = specification.indexOf('=');
  const id = (equals === -1 ? specification : specification.slice(0, equals)) || 'default';
  const value = equals === -1 ? (cli.env['SSH_AUTH_SOCK'] ?? '') : specification.slice(equals + 1);
  const paths = value.split(',');
  if (value === '') throw new Error('invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set');
  const sockets = paths.filter((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) throw new Error(`failed to stat ${path}: no such file or directory`);
    return stat.isSocket();
  });
  const [socket] = sockets;
  if (socket === undefined) {
    const { KeyAgent } = await import('./key-agent.ts');
    const agent = KeyAgent.open(paths);
    return [id, () => agent.connect()];
  }
  if (paths.length > 1) throw new Error('only single socket allowed');
  return [id, () => connect({ path: socket })];
}

/** Keeps one connection to the engine in store for one agent; the first bytes on it join it with the agent. */
class Forward {
  readonly #client: ApiClient;
  readonly #ticket: string;
  readonly #id: string;
  readonly #agent: () => Duplex;
  readonly #open = new Set<{ destroy: () => void }>();
  #closed = false;

  private constructor(client: ApiClient, ticket: string, id: string, agent: () => Duplex) {
    this.#client = client;
    this.#ticket = ticket;
    this.#id = id;
    this.#agent = agent;
  }

  static async open(client: ApiClient, ticket: string, id: string, agent: () => Duplex): Promise<Forward> {
    const forward = new Forward(client, ticket, id, agent);
    await forward.#store();
    return forward;
  }

  async #store(): Promise<void> {
    const { socket, rest } = await this.#client.hijack('/coracle/build/agent', {
      query: { ticket: this.#ticket, id: this.#id },
    });
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    socket.on('error', () => socket.destroy());
    if (this.#closed) {
      socket.destroy();
      return;
    }
    const join = (first: Buffer): void => {
      const agent = this.#agent();
      this.#open.add(agent);
      agent.on('close', () => {
        this.#open.delete(agent);
        socket.destroy();
      });
      agent.on('error', () => agent.destroy());
      socket.on('close', () => agent.destroy());
      agent.write(first);
      socket.pipe(agent);
      agent.pipe(socket);
      // The build has ended when this fails.
      if (!this.#closed) this.#store().catch(() => undefined);
    };
    if (rest.length > 0) join(rest);
    else socket.once('data', join);
    socket.resume();
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#open) connection.destroy();
  }
}
