import type { EndpointSettings } from '../spec/index.ts';
import type { Directory } from './dns/index.ts';
import type { EndpointRecord, NetworkRecord } from './network-records.ts';
import type { NetworkTable } from './network-table.ts';

/**
 * Who is called what, seen from a container: in each of its networks every container's name, aliases, short id and host
 * name, with and without the network's name behind, and the links that the container itself was given.
 * @param isAlive asked of containers that are meant
 */
export function directoryOf(
  table: NetworkTable,
  isAlive: (containerId: string) => boolean = () => true,
): Directory {
  const networksOf = (containerId: string): { network: NetworkRecord; own: EndpointRecord }[] =>
    table.endpointsIn(containerId).flatMap((own) => {
      const network = table.network(own.networkId);
      return network?.user === undefined ? [] : [{ network, own }];
    });
  return {
    addresses(containerId, name) {
      const found: string[] = [];
      for (const { network, own } of networksOf(containerId)) {
        const suffix = `.${network.name.toLowerCase()}`;
        const bare = name.endsWith(suffix) ? name.slice(0, -suffix.length) : undefined;
        const linked = linkTarget(own, name);
        for (const endpoint of table.endpointsOf(network)) {
          const { settings, containerName, containerId: id } = endpoint;
          const names = namesOf(endpoint);
          const isMeant =
            names.has(name) ||
            (bare !== undefined && names.has(bare)) ||
            (linked !== undefined && (containerName === linked || id.startsWith(linked)));
          if (isMeant && isAlive(id)) found.push(...addressesOf(settings));
        }
      }
      return found.length === 0 ? undefined : [...new Set(found)];
    },
    name(containerId, address) {
      for (const { network } of networksOf(containerId)) {
        const owner = table
          .endpointsOf(network)
          .find(({ settings }) => addressesOf(settings).includes(address));
        if (owner !== undefined) return `${owner.containerName}.${network.name}`;
      }
      return undefined;
    },
    reachesOutside: (containerId) =>
      networksOf(containerId).some(({ network }) => network.bridge?.internal !== true) ||
      table.endpointsIn(containerId).some(({ networkId }) => table.network(networkId)?.name === 'bridge'),
  };
}

const addressesOf = ({ IPAddress, GlobalIPv6Address }: EndpointSettings): string[] =>
  [IPAddress, GlobalIPv6Address].filter((address) => address !== '');

const lowerCase = new WeakMap<EndpointRecord, ReadonlySet<string>>();

/** Once for each state of an endpoint: every query looks at all of its network's. */
function namesOf(endpoint: EndpointRecord): ReadonlySet<string> {
  let names = lowerCase.get(endpoint);
  if (names === undefined) {
    names = new Set((endpoint.settings.DNSNames ?? []).map((name) => name.toLowerCase()));
    lowerCase.set(endpoint, names);
  }
  return names;
}

/** The container that this one calls so: `db` for `alias` by the link `db:alias`. */
function linkTarget({ settings }: EndpointRecord, name: string): string | undefined {
  for (const link of settings.Links ?? []) {
    const [target = '', alias = target] = link.replace(/^\//, '').split(':');
    if (alias.toLowerCase() === name) return target;
  }
  return undefined;
}
