import { readFileSync } from 'node:fs';
import { EngineError, SyscallError } from '../../errors/index.ts';
import type { Syscall } from '../../sys/index.ts';
import type { PortProtocol, PublishedPort, WantedPort } from './published-port.ts';

type SocketSyscall = Pick<Syscall, 'socket' | 'bind' | 'close'>;

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const anyAddress = '0.0.0.0';
/** Of one container; descriptors are not for free, and ranges of thousands are published for programs that own the machine. */
const MAX_RESERVED = 1024;

const errnoText: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

/**
 * The host's ports that lead into containers. Each is held by a socket bound to it, so that no program of the host takes
 * it while packets to it go elsewhere; the socket does not listen: should the firewall's rules be lost, connections are
 * refused, not left hanging.
 */
export class PortAllocator {
  readonly #syscall: SocketSyscall;
  /** By `tcp/80`: the addresses it is taken on, with the socket where there is one. */
  readonly #taken = new Map<string, Map<string, number | undefined>>();
  readonly #range: { first: number; last: number };
  readonly #next = new Map<PortProtocol, number>();

  constructor(syscall: SocketSyscall, range: { first: number; last: number } = dynamicRange()) {
    this.#syscall = syscall;
    this.#range = range;
  }

  /**
   * All of them or none.
   * @throws {EngineError} `internal` with dockerd's texts when a port is taken.
   */
  allocate(wanted: readonly WantedPort[]): PublishedPort[] {
    const got: PublishedPort[] = [];
    try {
      for (const port of wanted) got.push(this.#allocateOne(port, got.length < MAX_RESERVED));
      return got;
    } catch (error) {
      this.release(got);
      throw error;
    }
  }

  /** Takes ports that a container has already. @returns those that a program of the host took meanwhile. */
  adopt(ports: readonly PublishedPort[]): PublishedPort[] {
    const lost: PublishedPort[] = [];
    for (const [index, port] of ports.entries()) {
      const addresses = this.#addresses(port.protocol, port.hostPort);
      if (addresses.has(port.hostAddress)) continue;
      let fd: number | undefined;
      try {
        if (index < MAX_RESERVED) fd = this.#reserve(port);
      } catch {
        lost.push(port);
      }
      addresses.set(port.hostAddress, fd);
    }
    return lost;
  }

  release(ports: readonly PublishedPort[]): void {
    for (const { protocol, hostPort, hostAddress } of ports) {
      const key = `${protocol}/${hostPort}`;
      const addresses = this.#taken.get(key);
      const fd = addresses?.get(hostAddress);
      if (fd !== undefined) this.#syscall.close(fd);
      addresses?.delete(hostAddress);
      if (addresses?.size === 0) this.#taken.delete(key);
    }
  }

  /** Gives up the sockets; the containers keep their ports. */
  close(): void {
    for (const addresses of this.#taken.values()) {
      for (const fd of addresses.values()) if (fd !== undefined) this.#syscall.close(fd);
    }
    this.#taken.clear();
  }

  #allocateOne(wanted: WantedPort, isReserved: boolean): PublishedPort {
    const { protocol, containerPort, hostAddress } = wanted;
    const isDynamic = wanted.firstHostPort === 0;
    const first = isDynamic ? this.#range.first : wanted.firstHostPort;
    const last = isDynamic ? this.#range.last : wanted.lastHostPort;
    const start = isDynamic ? (this.#next.get(protocol) ?? first) : first;
    const count = last - first + 1;
    for (let step = 0; step < count; step++) {
      const hostPort = first + ((start - first + step) % count);
      const port: PublishedPort = { protocol, containerPort, hostAddress, hostPort };
      if (this.#isTaken(port)) {
        if (first !== last) continue;
        throw new EngineError(
          'internal',
          `Bind for ${hostAddress}:${hostPort} failed: port is already allocated`,
        );
      }
      let fd: number | undefined;
      try {
        if (isReserved) fd = this.#reserve(port);
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
        if (first !== last && error.errno === 'EADDRINUSE') continue;
        const reason = errnoText[error.errno] ?? error.message;
        throw new EngineError(
          'internal',
          `failed to bind host port ${hostAddress}:${hostPort}/${protocol}: ${reason}`,
          { cause: error },
        );
      }
      this.#addresses(protocol, hostPort).set(hostAddress, fd);
      if (isDynamic) this.#next.set(protocol, hostPort === last ? first : hostPort + 1);
      return port;
    }
    throw new EngineError('internal', isDynamic ? 'all ports are allocated' : 'port is already allocated');
  }

  #isTaken({ protocol, hostPort, hostAddress }: PublishedPort): boolean {
    const addresses = this.#taken.get(`${protocol}/${hostPort}`);
    if (addresses === undefined || addresses.size === 0) return false;
    return hostAddress === anyAddress || addresses.has(anyAddress) || addresses.has(hostAddress);
  }

  #addresses(protocol: PortProtocol, port: number): Map<string, number | undefined> {
    const key = `${protocol}/${port}`;
    let addresses = this.#taken.get(key);
    if (addresses === undefined) this.#taken.set(key, (addresses = new Map<string, number | undefined>()));
    return addresses;
  }

  #reserve({ protocol, hostAddress, hostPort }: PublishedPort): number | undefined {
    // The kernel may have no SCTP at all; nothing else then serves it either.
    if (protocol === 'sctp') return undefined;
    const fd = this.#syscall.socket(AF_INET, protocol === 'tcp' ? SOCK_STREAM : SOCK_DGRAM, 0);
    try {
      this.#syscall.bind(fd, hostAddress, hostPort);
      return fd;
    } catch (error) {
      this.#syscall.close(fd);
      throw error;
    }
  }
}

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
