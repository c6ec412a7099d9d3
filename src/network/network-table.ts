import { EngineError, isKind } from '../errors/index.ts';
import type { RecordCollection, Records } from '../records/index.ts';
import { endpointKey, type EndpointRecord, type NetworkRecord } from './network-records.ts';

/** The networks and endpoints that there are: in memory, written through to the records. */
export class NetworkTable {
  readonly #networks = new Map<string, NetworkRecord>();
  readonly #endpoints = new Map<string, EndpointRecord>();
  /** The same by network, and by container: names are looked up there for every query. */
  readonly #byNetwork = new Map<string, Map<string, EndpointRecord>>();
  readonly #byContainer = new Map<string, Map<string, EndpointRecord>>();
  readonly #networkRecords: RecordCollection<NetworkRecord>;
  readonly #endpointRecords: RecordCollection<EndpointRecord>;

  constructor(records: Records) {
    this.#networkRecords = records.collection('networks');
    this.#endpointRecords = records.collection('network-endpoints');
    for (const [id, record] of this.#networkRecords.entries()) this.#networks.set(id, record);
    for (const [, record] of this.#endpointRecords.entries()) this.#add(record);
  }

  networks(): NetworkRecord[] {
    return [...this.#networks.values()];
  }

  network(id: string): NetworkRecord | undefined {
    return this.#networks.get(id);
  }

  byName(name: string): NetworkRecord | undefined {
    return this.networks().find((network) => network.name === name);
  }

  /** @throws {EngineError} `not-found` "network x not found"; `invalid-parameter` for an ambiguous prefix */
  find(nameOrId: string): NetworkRecord {
    const exact = this.#networks.get(nameOrId) ?? this.byName(nameOrId === 'default' ? 'bridge' : nameOrId);
    if (exact !== undefined) return exact;
    const matches = this.networks().filter(({ id }) => nameOrId !== '' && id.startsWith(nameOrId));
    const [match] = matches;
    if (match === undefined) throw new EngineError('not-found', `network ${nameOrId} not found`);
    if (matches.length > 1) {
      throw new EngineError(
        'invalid-parameter',
        `network ${nameOrId} is ambiguous (${matches.length} matches found based on ID prefix)`,
      );
    }
    return match;
  }

  /** As find(), undefined when there is none or more than one. */
  search(nameOrId: string): NetworkRecord | undefined {
    try {
      return this.find(nameOrId);
    } catch (error) {
      if (isKind(error, 'not-found') || isKind(error, 'invalid-parameter')) return undefined;
      throw error;
    }
  }

  save(record: NetworkRecord): void {
    this.#networkRecords.put(record.id, record);
    this.#networks.set(record.id, record);
  }

  remove(id: string): void {
    this.#networkRecords.delete(id);
    this.#networks.delete(id);
  }

  endpoint(containerId: string, networkId: string): EndpointRecord | undefined {
    return this.#endpoints.get(endpointKey(containerId, networkId));
  }

  endpoints(): EndpointRecord[] {
    return [...this.#endpoints.values()];
  }

  endpointsOf(network: { id: string }): EndpointRecord[] {
    return [...(this.#byNetwork.get(network.id)?.values() ?? [])];
  }

  endpointsIn(containerId: string): EndpointRecord[] {
    return [...(this.#byContainer.get(containerId)?.values() ?? [])];
  }

  saveEndpoint(record: EndpointRecord): void {
    this.#endpointRecords.put(endpointKey(record.containerId, record.networkId), record);
    this.#add(record);
  }

  removeEndpoint({ containerId, networkId }: EndpointRecord): void {
    const key = endpointKey(containerId, networkId);
    this.#endpointRecords.delete(key);
    this.#endpoints.delete(key);
    for (const [index, id] of [
      [this.#byNetwork, networkId],
      [this.#byContainer, containerId],
    ] as const) {
      index.get(id)?.delete(key);
      if (index.get(id)?.size === 0) index.delete(id);
    }
  }

  #add(record: EndpointRecord): void {
    const { containerId, networkId } = record;
    const key = endpointKey(containerId, networkId);
    this.#endpoints.set(key, record);
    for (const [index, id] of [
      [this.#byNetwork, networkId],
      [this.#byContainer, containerId],
    ] as const) {
      const members = index.get(id);
      if (members === undefined) index.set(id, new Map([[key, record]]));
      else members.set(key, record);
    }
  }
}
