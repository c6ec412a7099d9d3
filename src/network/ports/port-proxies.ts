import { readdirSync, readlinkSync } from 'node:fs';
import { errorMessage } from '../../errors/index.ts';
import type { Syscall } from '../../sys/index.ts';
import { proxyPort, type PortProxy, type ProxyTarget } from './port-proxy.ts';
import type { PublishedPort } from './published-port.ts';

/** A port that a program hands on, and the kernel's name of the socket that is bound to it: `socket:[123]`. */
export interface ProxiedPort {
  port: PublishedPort;
  socket: string;
}

/**
 * Ports of IPv6 that the kernel cannot lead into a container: into one that has IPv4 alone, and from `::1`, which no
 * packet may carry over a link. This program hands on what comes, on the very sockets that the container's monitor
 * holds, so that whoever comes after it goes on with them; clients wait meanwhile.
 */
export class PortProxies {
  readonly #syscall: Pick<Syscall, 'copyDescriptor'>;
  readonly #targetOf: (containerId: string, port: PublishedPort, client: string) => ProxyTarget | undefined;
  readonly #onFailure: (message: string) => void;
  readonly #proxies = new Map<string, PortProxy[]>();

  constructor(parts: {
    syscall: Pick<Syscall, 'copyDescriptor'>;
    /** Undefined: the client is turned away. */
    targetOf: (containerId: string, port: PublishedPort, client: string) => ProxyTarget | undefined;
    onFailure: (message: string) => void;
  }) {
    this.#syscall = parts.syscall;
    this.#targetOf = parts.targetOf;
    this.#onFailure = parts.onFailure;
  }

  containers(): string[] {
    return [...this.#proxies.keys()];
  }

  /** @param socket bound to the port; the proxy's from here on */
  open(containerId: string, port: PublishedPort, socket: number): void {
    const { protocol } = port;
    if (protocol === 'sctp') throw new TypeError('SCTP has no proxy');
    const proxy = proxyPort(
      protocol,
      socket,
      (client) => this.#targetOf(containerId, port, client),
      (error) => this.#onFailure(`proxy of port ${port.hostPort}/${protocol}: ${errorMessage(error)}`),
    );
    const present = this.#proxies.get(containerId);
    if (present === undefined) this.#proxies.set(containerId, [proxy]);
    else present.push(proxy);
  }

  /**
   * Goes on where another program left.
   * @param monitorPid the process that holds the sockets
   */
  resume(containerId: string, ports: readonly ProxiedPort[], monitorPid: number): void {
    const held = descriptorsOf(monitorPid);
    for (const { port, socket } of ports) {
      const descriptor = held.get(socket);
      if (descriptor === undefined) continue;
      try {
        this.open(containerId, port, this.#syscall.copyDescriptor(monitorPid, descriptor));
      } catch (error) {
        this.#onFailure(`proxy of port ${port.hostPort}/${port.protocol}: ${errorMessage(error)}`);
      }
    }
  }

  close(containerId: string): void {
    for (const proxy of this.#proxies.get(containerId) ?? []) proxy.close();
    this.#proxies.delete(containerId);
  }
}

/** The kernel's name of a socket of this process's. */
export const socketName = (descriptor: number): string => readlinkSync(`/proc/self/fd/${descriptor}`);

/** A monitor's descriptors by the kernel's names of them; none of one that is gone. */
export function descriptorsOf(pid: number): Map<string, number> {
  const descriptors = new Map<string, number>();
  try {
    for (const name of readdirSync(`/proc/${pid}/fd`))
      descriptors.set(readlinkSync(`/proc/${pid}/fd/${name}`), Number(name));
  } catch {
    // It has ended, or is just about to: a monitor closes nothing else.
  }
  return descriptors;
}
