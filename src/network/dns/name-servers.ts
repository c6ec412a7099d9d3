import { createSocket } from 'node:dgram';
import { isIPv6, Socket } from 'node:net';
import { EngineError, errorMessage, SyscallError } from '../../errors/index.ts';
import type { RecordCollection } from '../../records/index.ts';
import type { DescriptorWatcher, Netlink, Syscall } from '../../sys/index.ts';
import { dnsAddress, nameservers, readHostResolvConf } from '../files.ts';
import type { Question } from './message.ts';
import { NameServer } from './name-server.ts';
import { Upstream, type Outlet, type Transport } from './upstream.ts';

type SocketSyscall = Pick<Syscall, 'inNetworkNamespace' | 'socket' | 'bind' | 'connect' | 'close'>;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const ATTEMPTS = 8;
/** Of a container's own firewall. */
const TABLE = 'coracle_dns';

/** What the user asked for a container's names. */
export interface NameOptions {
  /** The user's `--dns`; empty: the host's own. */
  servers: string[];
  /** The user (or the host) said `ndots`: what has no dots is the resolver's to complete. */
  keepsShortNames?: boolean;
}

/** What is kept of a container's name server, so that the next engine serves the same sockets. */
export interface NameServerRecord extends NameOptions {
  port: number;
}

/** Who is who in a container's networks. */
export interface Directory {
  addresses(containerId: string, name: string): string[] | undefined;
  name(containerId: string, address: string): string | undefined;
  /** False: all its networks are internal; what it asks must not leave the machine either. */
  reachesOutside(containerId: string): boolean;
}

/**
 * The name servers inside of containers: at 127.0.0.11 on a port of the kernel's choice, to which the namespace's own
 * firewall sends what goes to port 53, so that a container can have that port itself. Servers of the host are asked from
 * the host's network, those that the user named from the container's.
 */
export class NameServers {
  readonly #syscall: SocketSyscall;
  readonly #netlink: Pick<Netlink, 'inNamespace'>;
  readonly #watcher: Pick<DescriptorWatcher, 'openDatagrams'>;
  readonly #collection: RecordCollection<NameServerRecord>;
  readonly #directory: Directory;
  readonly #upstream = new Upstream();
  readonly #servers = new Map<string, NameServer>();

  constructor(parts: {
    syscall: SocketSyscall;
    netlink: Pick<Netlink, 'inNamespace'>;
    watcher: Pick<DescriptorWatcher, 'openDatagrams'>;
    records: RecordCollection<NameServerRecord>;
    directory: Directory;
  }) {
    this.#syscall = parts.syscall;
    this.#netlink = parts.netlink;
    this.#watcher = parts.watcher;
    this.#collection = parts.records;
    this.#directory = parts.directory;
  }

  /** Containers that had a server when the last engine ended. */
  known(): string[] {
    return this.#collection.entries().map(([containerId]) => containerId);
  }

  /** Names are answered when this returns. Idempotent. @param options for the first time; absent: as they were */
  serve(containerId: string, sandboxPath: string, options?: NameOptions): void {
    if (this.#servers.has(containerId)) return;
    const before = this.#collection.get(containerId);
    const { servers, keepsShortNames = false } = options ?? before ?? { servers: [] };
    const { port, ...descriptors } = this.#open(sandboxPath, before?.port);
    const server = new NameServer(
      {
        addresses: (name) => this.#directory.addresses(containerId, name),
        name: (address) => this.#directory.name(containerId, address),
        keepsShortNames,
        forward: (question, message, transport) =>
          this.#forward({ containerId, sandboxPath, servers }, question, message, transport),
      },
      descriptors,
      this.#watcher,
    );
    this.#servers.set(containerId, server);
    this.#collection.put(containerId, { port, servers, ...(keepsShortNames ? { keepsShortNames } : {}) });
  }

  /** The container's namespace is about to go. */
  stop(containerId: string): void {
    const present = this.#servers.get(containerId);
    present?.close();
    if (this.#servers.delete(containerId) || this.#collection.get(containerId) !== undefined)
      this.#collection.delete(containerId);
  }

  /** This engine ends; the next one goes on. */
  close(): void {
    for (const server of this.#servers.values()) server.close();
    this.#servers.clear();
  }

  #open(sandboxPath: string, wanted: number | undefined): { udp: number; tcp: number; port: number } {
    try {
      return this.#netlink.inNamespace(sandboxPath, (inside) => {
        const bound = this.#bind(wanted);
        // The kernel kept the rules of an engine that was killed.
        if (bound.port === wanted) return bound;
        try {
          inside.redirectPort(TABLE, { address: dnsAddress, port: 53, toPort: bound.port });
          return bound;
        } catch (error) {
          this.#syscall.close(bound.udp);
          this.#syscall.close(bound.tcp);
          throw error;
        }
      });
    } catch (error) {
      throw new EngineError('internal', `Cannot answer names in the container: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  /** In the thread's network. */
  #bind(wanted = 0): { udp: number; tcp: number; port: number } {
    for (let attempt = 0; ; attempt++) {
      const udp = this.#syscall.socket(AF_INET, SOCK_DGRAM, 0);
      let tcp: number | undefined;
      try {
        const port = this.#syscall.bind(udp, dnsAddress, attempt === 0 ? wanted : 0);
        tcp = this.#syscall.socket(AF_INET, SOCK_STREAM, 0);
        this.#syscall.bind(tcp, dnsAddress, port);
        return { udp, tcp, port };
      } catch (error) {
        this.#syscall.close(udp);
        if (tcp !== undefined) this.#syscall.close(tcp);
        const isTaken = error instanceof SyscallError && error.errno === 'EADDRINUSE';
        if (!isTaken || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #forward(
    asker: { containerId: string; sandboxPath: string; servers: readonly string[] },
    question: Question,
    message: Buffer,
    transport: Transport,
  ): Promise<Buffer | undefined> {
    const { containerId, sandboxPath, servers } = asker;
    if (servers.length === 0) {
      if (!this.#directory.reachesOutside(containerId)) return undefined;
      return this.#upstream.ask(question, message, nameservers(readHostResolvConf()), transport);
    }
    // From a container's network, this is the server that asks.
    const others = servers.filter((server) => server !== dnsAddress);
    return this.#upstream.ask(question, message, others, transport, this.#outlet(sandboxPath));
  }

  #outlet(sandboxPath: string): Outlet {
    const open = (server: string, type: number, use: (fd: number) => void): number =>
      this.#syscall.inNetworkNamespace(sandboxPath, () => {
        const fd = this.#syscall.socket(isIPv6(server) ? AF_INET6 : AF_INET, type, 0);
        try {
          use(fd);
          return fd;
        } catch (error) {
          this.#syscall.close(fd);
          throw error;
        }
      });
    return {
      udp: (server) => {
        const anyAddress = isIPv6(server) ? '::' : '0.0.0.0';
        const fd = open(server, SOCK_DGRAM, (made) => this.#syscall.bind(made, anyAddress, 0));
        const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4');
        socket.bind({ fd });
        return socket;
      },
      tcp: (server) =>
        new Socket({ fd: open(server, SOCK_STREAM, (made) => this.#syscall.connect(made, server, 53)) }),
    };
  }
}
