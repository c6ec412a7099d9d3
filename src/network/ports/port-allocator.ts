import { readFileSync } from 'node:fs';
import { EngineError, SyscallError } from '../../errors/index.ts';
import type { Syscall } from '../../sys/index.ts';
import type { PortProtocol, PublishedPort, WantedPort } from './published-port.ts';

type SocketSyscall = Pick<Syscall, 'socket' | 'bind' | 'close'>;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const IPPROTO_SCTP = 132;

const errnoText: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
  EMFILE: 'too many open files: each published port takes one (RLIMIT_NOFILE)',
};

/** Ports that were given, and the sockets bound to those that the kernel knows the protocol of. */
export interface Allocation {
  ports: PublishedPort[];
  /** Whoever asked closes them. */
  held: HeldPort[];
}

export interface HeldPort {
  port: PublishedPort;
  socket: number;
}

/**
 * The host's ports that lead into containers. Each is held by a socket bound to it, so that no program of the host takes
 * it while packets to it go elsewhere; the socket does not listen: should the firewall's rules be lost, connections are
 * refused, not left hanging.
 */
export class PortAllocator {
  readonly #syscall: SocketSyscall;
  /** By `tcp/80`: the addresses it is taken on. */
  readonly #taken = new Map<string, Set<string>>();
  readonly #range: { first: number; last: number };
  readonly #next = new Map<PortProtocol, number>();

  constructor(syscall: SocketSyscall, range: { first: number; last: number } = dynamicRange()) {
    this.#syscall = syscall;
    this.#range = range;
  }

  /**
   * All of them or none.
   * @param listens true of a port whose socket will be listened on
   * @throws {EngineError} `internal` with dockerd's texts when a port is taken.
   */
  allocate(
    wanted: readonly WantedPort[],
    listens: (port: PublishedPort) => boolean = () => false,
  ): Allocation {
    const got: Allocation = { ports: [], held: [] };
    try {
      for (const port of wanted) this.#allocateOne(port, got, listens);
      return got;
    } catch (error) {
      this.release(got.ports);
      for (const { socket } of got.held) this.#syscall.close(socket);
      throw error;
    }
  }

  /** False: nobody can reach this machine by IPv6, itself included. */
  get hasIpv6(): boolean {
    try {
      const socket = this.#bind({ protocol: 'tcp', containerPort: 0, hostAddress: '::1', hostPort: 0 });
      if (socket !== undefined) this.#syscall.close(socket);
      return socket !== undefined;
    } catch {
      return false;
    }
  }

  /** Ports that a container has already, and its monitor the sockets of. */
  adopt(ports: readonly PublishedPort[]): void {
    for (const { protocol, hostPort, hostAddress } of ports)
      this.#addresses(protocol, hostPort).add(hostAddress);
  }

  release(ports: readonly PublishedPort[]): void {
    for (const { protocol, hostPort, hostAddress } of ports) {
      const key = `${protocol}/${hostPort}`;
      const addresses = this.#taken.get(key);
      addresses?.delete(hostAddress);
      if (addresses?.size === 0) this.#taken.delete(key);
    }
  }

  #allocateOne(wanted: WantedPort, got: Allocation, listens: (port: PublishedPort) => boolean): void {
    const { protocol, containerPort, hostAddresses } = wanted;
    const isDynamic = wanted.firstHostPort === 0;
    const first = isDynamic ? this.#range.first : wanted.firstHostPort;
    const last = isDynamic ? this.#range.last : wanted.lastHostPort;
    const start = isDynamic ? (this.#next.get(protocol) ?? first) : first;
    const count = last - first + 1;
    for (let step = 0; step < count; step++) {
      const hostPort = first + ((start - first + step) % count);
      const ports = hostAddresses.map((hostAddress) => ({ protocol, containerPort, hostAddress, hostPort }));
      const taken = ports.find((port) => this.#isTaken(port));
      if (taken !== undefined) {
        if (first !== last) continue;
        throw new EngineError(
          'internal',
          `Bind for ${withBrackets(taken.hostAddress)}:${hostPort} failed: port is already allocated`,
        );
      }
      const held = this.#reserve(ports, first !== last, listens);
      if (held === undefined) continue;
      this.adopt(ports);
      // One by one: thousands are no arguments of a call.
      for (const port of ports) got.ports.push(port);
      for (const one of held) got.held.push(one);
      if (isDynamic) this.#next.set(protocol, hostPort === last ? first : hostPort + 1);
      return;
    }
    throw new EngineError('internal', isDynamic ? 'all ports are allocated' : 'port is already allocated');
  }

  #isTaken({ protocol, hostPort, hostAddress }: PublishedPort): boolean {
    const addresses = this.#taken.get(`${protocol}/${hostPort}`);
    if (addresses === undefined) return false;
    const [any, isOfFamily] = hostAddress.includes(':')
      ? ['::', (other: string) => other.includes(':')]
      : ['0.0.0.0', (other: string) => !other.includes(':')];
    return hostAddress === any
      ? [...addresses].some(isOfFamily)
      : addresses.has(any) || addresses.has(hostAddress);
  }

  #addresses(protocol: PortProtocol, port: number): Set<string> {
    const key = `${protocol}/${port}`;
    let addresses = this.#taken.get(key);
    if (addresses === undefined) this.#taken.set(key, (addresses = new Set()));
    return addresses;
  }

  /**
   * A socket for each of the ports.
   * @param hasOthers another number may be tried: nothing is returned then for one that a program has
   */
  #reserve(
    ports: readonly PublishedPort[],
    hasOthers: boolean,
    listens: (port: PublishedPort) => boolean,
  ): HeldPort[] | undefined {
    const held: HeldPort[] = [];
    for (const port of ports) {
      try {
        const socket = this.#bind(port, listens(port));
        if (socket !== undefined) held.push({ port, socket });
      } catch (error) {
        for (const { socket } of held) this.#syscall.close(socket);
        if (!(error instanceof SyscallError)) throw error;
        if (hasOthers && error.errno === 'EADDRINUSE') return undefined;
        const { hostAddress, hostPort, protocol } = port;
        throw new EngineError(
          'internal',
          `failed to bind host port ${withBrackets(hostAddress)}:${hostPort}/${protocol}: ` +
            (errnoText[error.errno] ?? error.message),
          { cause: error },
        );
      }
    }
    return held;
  }

  /**
   * @param listens its connections end here, and the kernel remembers them for a minute: the next to have the port must
   * not mind. One that does not listen would let any other program of that mind have it
   */
  #bind({ protocol, hostAddress, hostPort }: PublishedPort, listens = false): number | undefined {
    let socket: number;
    try {
      socket = this.#syscall.socket(
        hostAddress.includes(':') ? AF_INET6 : AF_INET,
        protocol === 'udp' ? SOCK_DGRAM : SOCK_STREAM,
        protocol === 'sctp' ? IPPROTO_SCTP : 0,
      );
    } catch (error) {
      // The kernel may have no SCTP at all, or no IPv6; nothing else then serves it either.
      if (error instanceof SyscallError && absent.includes(error.errno)) return undefined;
      throw error;
    }
    try {
      this.#syscall.bind(socket, hostAddress, hostPort, { reusesAddress: listens && protocol === 'tcp' });
      return socket;
    } catch (error) {
      this.#syscall.close(socket);
      throw error;
    }
  }
}

const absent: readonly string[] = ['EPROTONOSUPPORT', 'ESOCKTNOSUPPORT', 'EAFNOSUPPORT'];

const withBrackets = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** The kernel's range of ports that it gives out itself. */
function dynamicRange(): { first: number; last: number } {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    const [first = NaN, last = NaN] = text.trim().split(/\s+/).map(Number);
    if (first > 0 && last >= first) return { first, last };
  } catch {
    // Not mounted: the kernel's default.
  }
  return { first: 32768, last: 60999 };
}
