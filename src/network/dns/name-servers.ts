import { createSocket } from 'node:dgram';
import { EngineError, ProcessError, SyscallError } from '../../errors/index.ts';
import type { RecordCollection } from '../../records/index.ts';
import type { Syscall } from '../../sys/index.ts';
import { dnsAddress, nameservers, readHostResolvConf } from '../files.ts';
import type { Firewall } from '../nftables/firewall.ts';
import type { Question } from './message.ts';
import { NameServer } from './name-server.ts';
import { Upstream, type Transport } from './upstream.ts';

type SocketSyscall = Pick<Syscall, 'inNetworkNamespace' | 'socket' | 'bind' | 'close'>;

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const ATTEMPTS = 8;

/** What is kept of a container's name server, so that the next engine serves the same sockets. */
export interface NameServerRecord {
  port: number;
  /** The user's `--dns`; empty: the host's own. */
  servers: string[];
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
 * firewall sends what goes to port 53, so that a container can have that port itself. Servers outside are asked from the
 * host's network; from the container's where the user named a loopback address, which is the container's own.
 */
export class NameServers {
  readonly #syscall: SocketSyscall;
  readonly #firewall: Firewall;
  readonly #collection: RecordCollection<NameServerRecord>;
  readonly #directory: Directory;
  readonly #upstream = new Upstream();
  readonly #servers = new Map<string, { server: NameServer; isReady: Promise<void> }>();

  constructor(parts: {
    syscall: SocketSyscall;
    firewall: Firewall;
    records: RecordCollection<NameServerRecord>;
    directory: Directory;
  }) {
    this.#syscall = parts.syscall;
    this.#firewall = parts.firewall;
    this.#collection = parts.records;
    this.#directory = parts.directory;
  }

  /** Containers that had a server when the last engine ended. */
  known(): string[] {
    return this.#collection.entries().map(([containerId]) => containerId);
  }

  /** Resolves when names are answered. Idempotent. @param servers the user's own, for the first time */
  async serve(containerId: string, sandboxPath: string, servers?: readonly string[]): Promise<void> {
    const present = this.#servers.get(containerId);
    if (present !== undefined) return present.isReady;
    const before = this.#collection.get(containerId);
    const own = servers === undefined ? (before?.servers ?? []) : [...servers];
    const { port, ...descriptors } = this.#bind(sandboxPath, before?.port);
    const server = new NameServer(
      {
        addresses: (name) => this.#directory.addresses(containerId, name),
        name: (address) => this.#directory.name(containerId, address),
        forward: (question, message, transport) =>
          this.#forward({ containerId, sandboxPath, servers: own }, question, message, transport),
      },
      descriptors,
    );
    // The kernel kept the rules of an engine that was killed.
    const isReady =
      before?.port === port ? Promise.resolve() : this.#firewall.inNamespace(sandboxPath, redirect(port));
    this.#servers.set(containerId, { server, isReady });
    this.#collection.put(containerId, { port, servers: own });
    try {
      await isReady;
    } catch (error) {
      this.stop(containerId);
      const detail = error instanceof ProcessError ? error.message : String(error);
      throw new EngineError('internal', `Cannot answer names in the container: ${detail}`, { cause: error });
    }
  }

  /** The container's namespace is about to go. */
  stop(containerId: string): void {
    const present = this.#servers.get(containerId);
    present?.server.close();
    if (this.#servers.delete(containerId) || this.#collection.get(containerId) !== undefined)
      this.#collection.delete(containerId);
  }

  /** This engine ends; the next one goes on. */
  close(): void {
    for (const { server } of this.#servers.values()) server.close();
    this.#servers.clear();
  }

  #bind(sandboxPath: string, wanted: number | undefined): { udp: number; tcp: number; port: number } {
    return this.#syscall.inNetworkNamespace(sandboxPath, () => {
      for (let attempt = 0; ; attempt++) {
        const udp = this.#syscall.socket(AF_INET, SOCK_DGRAM, 0);
        let tcp: number | undefined;
        try {
          const port = this.#syscall.bind(udp, dnsAddress, attempt === 0 ? (wanted ?? 0) : 0);
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
    });
  }

  async #forward(
    asker: { containerId: string; sandboxPath: string; servers: readonly string[] },
    question: Question,
    message: Buffer,
    transport: Transport,
  ): Promise<Buffer | undefined> {
    const { containerId, sandboxPath, servers } = asker;
    if (!this.#directory.reachesOutside(containerId)) return undefined;
    if (servers.length === 0)
      return this.#upstream.ask(question, message, nameservers(readHostResolvConf()), transport);
    if (!servers.some((server) => server.startsWith('127.')))
      return this.#upstream.ask(question, message, servers, transport);
    const open = () => {
      const fd = this.#syscall.inNetworkNamespace(sandboxPath, () => {
        const made = this.#syscall.socket(AF_INET, SOCK_DGRAM, 0);
        this.#syscall.bind(made, '0.0.0.0', 0);
        return made;
      });
      const socket = createSocket('udp4');
      socket.bind({ fd });
      return socket;
    };
    return this.#upstream.ask(question, message, servers, 'udp', open);
  }
}

/** nft(8) commands for the inside of a namespace. */
function redirect(port: number): string {
  return `table ip coracle_dns
delete table ip coracle_dns
table ip coracle_dns {
  chain output {
    type nat hook output priority -100; policy accept;
    ip daddr ${dnsAddress} udp dport 53 dnat to ${dnsAddress}:${port}
    ip daddr ${dnsAddress} tcp dport 53 dnat to ${dnsAddress}:${port}
  }
}
`;
}
