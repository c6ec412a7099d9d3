import { EngineError, errorMessage } from '../../errors/index.ts';
import type { RecordCollection } from '../../records/index.ts';
import type { Firewall } from '../nftables/firewall.ts';
import { portElements, type PortForward } from '../nftables/port-elements.ts';
import type { PortAllocator } from './port-allocator.ts';
import { wantedPorts, type PublishedPort, type PublishRequest } from './published-port.ts';

/** Where a container's ports lead. */
export interface PortTarget {
  networkId: string;
  bridge: string;
  /** The container's. */
  address: string;
}

/** What is kept of one container. */
export interface PublishedRecord extends PortTarget {
  ports: PublishedPort[];
}

/** Which ports of the host lead into which container; kept over restarts of the engine, as the kernel keeps its rules. */
export class PublishedPorts {
  readonly #allocator: PortAllocator;
  readonly #firewall: Firewall;
  readonly #collection: RecordCollection<PublishedRecord>;
  readonly #records = new Map<string, PublishedRecord>();
  readonly #forgetUdpFlows: (ports: ReadonlySet<number>) => void;
  readonly #onFailure: (message: string) => void;

  constructor(parts: {
    allocator: PortAllocator;
    firewall: Firewall;
    records: RecordCollection<PublishedRecord>;
    forgetUdpFlows: (ports: ReadonlySet<number>) => void;
    /** Told of what nobody waits for. */
    onFailure: (message: string) => void;
  }) {
    this.#allocator = parts.allocator;
    this.#firewall = parts.firewall;
    this.#collection = parts.records;
    this.#forgetUdpFlows = parts.forgetUdpFlows;
    this.#onFailure = parts.onFailure;
    for (const [id, record] of this.#collection.entries()) this.#records.set(id, record);
  }

  /** Takes the host's ports of containers that run already. */
  open(): void {
    for (const [id, { ports }] of this.#records) {
      for (const { hostAddress, hostPort, protocol } of this.#allocator.adopt(ports)) {
        this.#onFailure(
          `port ${hostAddress}:${hostPort}/${protocol} of container ${id.slice(0, 12)} is in use by a program of the host`,
        );
      }
    }
  }

  close(): void {
    this.#allocator.close();
  }

  has(containerId: string): boolean {
    return this.#records.has(containerId);
  }

  /** All that leads into a network, for its table as a whole. */
  forwardsInto(networkId: string): PortForward[] {
    return [...this.#records.values()].filter((record) => record.networkId === networkId).flatMap(forwardsOf);
  }

  /** @throws {EngineError} with dockerd's texts when a port is taken; nothing is published then. */
  async publish(
    containerId: string,
    target: PortTarget,
    request: PublishRequest,
    defaultAddress: string,
  ): Promise<PublishedPort[]> {
    const ports = this.#allocator.allocate(wantedPorts(request, defaultAddress));
    if (ports.length === 0) return ports;
    const record = { ...target, ports };
    try {
      this.#collection.put(containerId, record);
      this.#records.set(containerId, record);
      this.#firewall.add(target.bridge, portElements(forwardsOf(record)));
      this.#redirectFlows(ports);
    } catch (error) {
      this.withdraw(containerId);
      throw error instanceof EngineError ? error : new EngineError('internal', errorMessage(error));
    }
    return ports;
  }

  /** No packet comes any more; the ports are free. */
  withdraw(containerId: string): void {
    const record = this.#records.get(containerId);
    if (record === undefined) return;
    this.#records.delete(containerId);
    this.#collection.delete(containerId);
    this.#shut(record);
    this.#allocator.release(record.ports);
    this.#redirectFlows(record.ports);
  }

  /** The same ports lead elsewhere: the container's main network changed. */
  move(containerId: string, target: PortTarget | undefined): void {
    const record = this.#records.get(containerId);
    if (record === undefined) return;
    this.#shut(record);
    const moved = { ...record, ...(target ?? { networkId: '', address: '' }) };
    this.#records.set(containerId, moved);
    this.#collection.put(containerId, moved);
    try {
      this.#firewall.add(moved.bridge, portElements(forwardsOf(moved)));
    } catch (error) {
      this.#onFailure(`cannot publish ports: ${errorMessage(error)}`);
    }
    this.#redirectFlows(record.ports);
  }

  #shut(record: PublishedRecord): void {
    try {
      this.#firewall.delete(record.bridge, portElements(forwardsOf(record)));
    } catch (error) {
      this.#onFailure(`cannot withdraw ports: ${errorMessage(error)}`);
    }
  }

  /** Connections of TCP end with their container; a client of UDP just goes on. */
  #redirectFlows(ports: readonly PublishedPort[]): void {
    const udp = new Set(ports.flatMap(({ protocol, hostPort }) => (protocol === 'udp' ? hostPort : [])));
    if (udp.size === 0) return;
    try {
      this.#forgetUdpFlows(udp);
    } catch (error) {
      this.#onFailure(`cannot redirect UDP clients: ${errorMessage(error)}`);
    }
  }
}

function forwardsOf({ ports, address }: PublishedRecord): PortForward[] {
  return address === '' ? [] : ports.map((port) => ({ port, address }));
}
