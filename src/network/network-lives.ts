import { readFileSync, writeFileSync } from 'node:fs';
import { EngineError, errorMessage, isKind } from '../errors/index.ts';
import type { EventBus } from '../events/index.ts';
import type { NetworkResource } from '../spec/index.ts';
import type { Bridges } from './bridge/bridges.ts';
import type { Family } from './ipam/index.ts';
import type { NetworkRecord } from './network-records.ts';
import { networkResource } from './network-resource.ts';
import type { NetworkTable } from './network-table.ts';
import type { Parents } from './parent/parents.ts';
import { predefinedNetworks } from './predefined.ts';
import { newNetwork, planNetwork, type NetworkCreate } from './user-network.ts';

/** dockerd's: links that come later forward as well. */
const forwardingSwitches: Readonly<Record<Family, readonly string[]>> = {
  4: ['net/ipv4/ip_forward'],
  6: ['net/ipv6/conf/default/forwarding', 'net/ipv6/conf/all/forwarding'],
};

/** Networks themselves: made, shown, brought up again, removed. */
export class NetworkLives {
  readonly #table: NetworkTable;
  readonly #bridges: Bridges;
  readonly #parents: Parents;
  readonly #events: EventBus | undefined;
  readonly #note: (text: string) => void;

  constructor(parts: {
    table: NetworkTable;
    bridges: Bridges;
    parents: Parents;
    events: EventBus | undefined;
    note: (text: string) => void;
  }) {
    this.#table = parts.table;
    this.#bridges = parts.bridges;
    this.#parents = parts.parents;
    this.#events = parts.events;
    this.#note = parts.note;
  }

  /** The engine's own three, where they are not there yet. */
  makePredefined(): void {
    for (const [name, driver] of [
      ['none', 'null'],
      ['host', 'host'],
      ['bridge', 'bridge'],
    ] as const) {
      if (this.#table.byName(name) === undefined) this.#table.save(newNetwork(name, driver));
    }
  }

  /** Links and addresses of all networks of the user's, which the kernel may have forgotten. */
  raiseAll(): void {
    this.#enableForwarding(4);
    const [, v6] = this.#table.find('bridge').pools ?? [];
    if (v6 !== undefined) this.#enableForwarding(6);
    for (const network of this.#table.networks()) {
      if (network.user === undefined) continue;
      try {
        this.#raise(network);
      } catch (error) {
        // One network that the machine no longer has room for must not keep the engine from starting.
        this.#note(`network ${network.name} is not up: ${errorMessage(error)}`);
      }
    }
  }

  list(): NetworkResource[] {
    return this.#table.networks().map((record) => this.#resource(record));
  }

  inspect(nameOrId: string): NetworkResource {
    const record = this.#table.find(nameOrId);
    const linked = this.#parents.find(record.id) ?? this.#bridges.find(record.id);
    return { ...this.#resource(record), Status: { IPAM: { Subnets: linked?.addresses.status() ?? {} } } };
  }

  async create(request: NetworkCreate): Promise<{ id: string }> {
    const record = planNetwork(request, {
      networks: this.#table.networks(),
      ...this.#bridges.surroundings(),
    });
    this.#table.save(record);
    try {
      this.#raise(record);
      if (record.bridge !== undefined) await this.#bridges.writeFirewall(record);
    } catch (error) {
      await this.#dismantle(record);
      throw error;
    }
    this.#publishEvent('create', record);
    return { id: record.id };
  }

  async remove(nameOrId: string): Promise<void> {
    const record = this.#table.find(nameOrId);
    if (predefinedNetworks.includes(record.name)) {
      throw new EngineError('forbidden', `${record.name} is a pre-defined network and cannot be removed`);
    }
    const endpoints = this.#table.endpointsOf(record);
    if (endpoints.length > 0) {
      const users = endpoints.map(
        ({ containerName, settings }) =>
          `name:${JSON.stringify(containerName)} id:${JSON.stringify(settings.EndpointID.slice(0, 12))}`,
      );
      throw new EngineError(
        'forbidden',
        `error while removing network: network ${record.name} has active endpoints (${users.join(', ')})`,
      );
    }
    const dependent = this.#table.networks().some(({ user }) => user?.configFrom === record.name);
    if (record.user?.configOnly === true && dependent) {
      throw new EngineError(
        'forbidden',
        `error while removing network: configuration network "${record.name}" is in use`,
      );
    }
    await this.#dismantle(record);
    if (record.user?.configOnly !== true) this.#publishEvent('destroy', record);
  }

  async prune(isChosen: (network: NetworkResource) => boolean): Promise<string[]> {
    const removed: string[] = [];
    for (const network of this.list().filter(isChosen)) {
      try {
        await this.remove(network.Id);
        removed.push(network.Name);
      } catch (error) {
        // A container has come into it meanwhile.
        if (!isKind(error, 'forbidden') && !isKind(error, 'not-found')) throw error;
      }
    }
    this.#events?.publish('network', 'prune', '', { reclaimed: '0' });
    return removed;
  }

  /** Links and addresses of a network of the user's. */
  #raise(network: NetworkRecord): void {
    if (network.parent === undefined) this.#bridges.raise(network);
    else this.#table.save(this.#parents.raise(network));
    if (network.user?.enableIpv6 === true && network.bridge !== undefined) this.#enableForwarding(6);
  }

  async #dismantle(network: NetworkRecord): Promise<void> {
    if (network.parent === undefined) await this.#bridges.dismantle(network);
    else this.#parents.dismantle(this.#table.network(network.id) ?? network);
  }

  /** As dockerd does: without forwarding no container reaches anything but this machine. */
  #enableForwarding(family: Family): void {
    for (const path of forwardingSwitches[family]) {
      if (readFileSync(`/proc/sys/${path}`, 'utf8').trim() === '1') continue;
      writeFileSync(`/proc/sys/${path}`, '1');
      this.#note(
        `${path.replaceAll('/', '.')} was set to 1: this machine now forwards packets where its firewall lets them`,
      );
    }
  }

  #resource(record: NetworkRecord): NetworkResource {
    return networkResource(record, this.#table.endpointsOf(record));
  }

  #publishEvent(action: 'create' | 'destroy', { id, name, driver }: NetworkRecord): void {
    this.#events?.publish('network', action, id, { name, type: driver });
  }
}
