import { createSocket, type RemoteInfo, type Socket as DatagramSocket } from 'node:dgram';
import { connect, isIPv6, Server, type Socket } from 'node:net';

/** How long a client that is silent is remembered; dockerd's. */
const SILENCE_MS = 90_000;
/** Clients of one UDP port; the one that came first goes for the next. */
const MAX_CLIENTS = 1024;

/** Where a port leads. */
export interface ProxyTarget {
  address: string;
  port: number;
}

/** A port of the host whose packets a program hands on. */
export interface PortProxy {
  /** Nothing is handed on any more, connections end; others who have the socket keep it. */
  close(): void;
}

/**
 * @param socket bound, and the proxy's from here on
 * @param targetOf asked for each client (an address of IPv6, with `%link` behind that of a neighbour); undefined: it is
 * turned away
 */
export function proxyPort(
  protocol: 'tcp' | 'udp',
  socket: number,
  targetOf: (client: string) => ProxyTarget | undefined,
  onFailure: (error: Error) => void,
): PortProxy {
  return protocol === 'tcp'
    ? new StreamProxy(socket, targetOf, onFailure)
    : new DatagramProxy(socket, targetOf, onFailure);
}

class StreamProxy implements PortProxy {
  readonly #server: Server;
  readonly #targetOf: (client: string) => ProxyTarget | undefined;
  readonly #open = new Set<Socket>();

  constructor(
    socket: number,
    targetOf: (client: string) => ProxyTarget | undefined,
    onFailure: (error: Error) => void,
  ) {
    this.#targetOf = targetOf;
    this.#server = new Server({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (client) =>
      this.#serve(client),
    );
    this.#server.on('error', onFailure);
    this.#server.listen({ fd: socket });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #serve(client: Socket): void {
    const target = this.#targetOf(client.remoteAddress ?? '');
    if (target === undefined) {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const { address: host, port } = target;
    const server = connect({ host, port, allowHalfOpen: true, noDelay: true, keepAlive: true });
    this.#join(client, server);
    this.#join(server, client);
  }

  /** Each direction ends for itself; what breaks one end breaks the other. */
  #join(from: Socket, to: Socket): void {
    this.#open.add(from);
    from.on('error', () => to.resetAndDestroy());
    from.on('close', () => this.#open.delete(from));
    from.pipe(to);
  }
}

interface Client {
  socket: DatagramSocket;
  silence: NodeJS.Timeout;
}

class DatagramProxy implements PortProxy {
  readonly #socket: DatagramSocket;
  readonly #targetOf: (client: string) => ProxyTarget | undefined;
  readonly #onFailure: (error: Error) => void;
  /** By address and port, the one that was silent longest first. */
  readonly #clients = new Map<string, Client>();

  constructor(
    socket: number,
    targetOf: (client: string) => ProxyTarget | undefined,
    onFailure: (error: Error) => void,
  ) {
    this.#targetOf = targetOf;
    this.#onFailure = onFailure;
    this.#socket = createSocket('udp6', (message, from) => this.#pass(message, from));
    this.#socket.on('error', onFailure);
    this.#socket.bind({ fd: socket });
  }

  close(): void {
    for (const key of this.#clients.keys()) this.#forget(key);
    this.#socket.close();
  }

  #pass(message: Buffer, from: RemoteInfo): void {
    const target = this.#targetOf(from.address);
    if (target === undefined) return;
    const key = `${from.address} ${from.port}`;
    const client = this.#clients.get(key) ?? this.#meet(key, from, target);
    client.silence.refresh();
    this.#clients.delete(key);
    this.#clients.set(key, client);
    client.socket.send(message, target.port, target.address, () => {});
  }

  #meet(key: string, from: RemoteInfo, target: ProxyTarget): Client {
    const [oldest] = this.#clients.keys();
    if (oldest !== undefined && this.#clients.size >= MAX_CLIENTS) this.#forget(oldest);
    const socket = createSocket(isIPv6(target.address) ? 'udp6' : 'udp4', (answer, server) => {
      if (server.address !== target.address || server.port !== target.port) return;
      this.#clients.get(key)?.silence.refresh();
      this.#socket.send(answer, from.port, from.address, () => {});
    });
    socket.on('error', this.#onFailure);
    const silence = setTimeout(() => this.#forget(key), SILENCE_MS).unref();
    return { socket, silence };
  }

  #forget(key: string): void {
    const client = this.#clients.get(key);
    if (client === undefined) return;
    this.#clients.delete(key);
    clearTimeout(client.silence);
    client.socket.close();
  }
}
