import { EngineError } from '../../errors/index.ts';
import type { Networks } from '../../network/index.ts';
import type { NetworkResource } from '../../spec/index.ts';
import type { ApiVersion } from '../api-version.ts';
import { checkFilters } from '../filters.ts';
import { filters, text } from '../query.ts';
import { route, type Route } from '../route.ts';
import { notYet, refuse } from './refuse.ts';
import { matchesLabels } from '../views/labels.ts';

/** What these routes need of the engine. */
export type NetworkBackend = Pick<Networks, 'list' | 'inspect'>;

const predefined = ['bridge', 'host', 'none'];

export function networkRoutes(networks: NetworkBackend): Route[] {
  const list = (path: string, operation: string): Route =>
    route({
      method: 'GET',
      path,
      operation,
      query: { filters },
      handle(exchange, query) {
        checkFilters(query.filters, ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']);
        const chosen = networks.list().filter((network) => matches(network, query.filters));
        exchange.json(
          200,
          // The list does not say who is attached since 1.28; inspect does.
          chosen.map((network) => {
            const view = networkView(network, exchange.version);
            return exchange.version < 28 ? view : { ...view, Containers: {} };
          }),
        );
      },
    });
  return [
    list('/networks', 'NetworkList'),
    list('/networks/', '(NetworkList alias)'),
    route({
      method: 'GET',
      path: '/networks/{id}',
      operation: 'NetworkInspect',
      query: { scope: text, verbose: text },
      handle(exchange, query) {
        const network = networks.inspect(exchange.params['id'] ?? '');
        if (query.scope !== '' && query.scope !== network.Scope) {
          throw new EngineError('not-found', `network ${exchange.params['id']} not found`);
        }
        exchange.json(200, networkView(network, exchange.version));
      },
    }),
    refuse('POST', '/networks/create', 'NetworkCreate', 'user networks', notYet('user-defined networks are')),
    refuse(
      'POST',
      '/networks/{id}/connect',
      'NetworkConnect',
      'user networks',
      notYet('connecting running containers to networks is'),
    ),
    refuse(
      'POST',
      '/networks/{id}/disconnect',
      'NetworkDisconnect',
      'user networks',
      notYet('disconnecting containers from networks is'),
    ),
    route({
      method: 'DELETE',
      path: '/networks/{id}',
      operation: 'NetworkDelete',
      coverage: 'partial',
      note: 'only the predefined networks exist, and they cannot be removed',
      handle(exchange) {
        const { Name } = networks.inspect(exchange.params['id'] ?? '');
        if (predefined.includes(Name)) {
          throw new EngineError('forbidden', `${Name} is a pre-defined network and cannot be removed`);
        }
        throw new EngineError('not-implemented', 'removing networks is not supported by this engine yet');
      },
    }),
    route({
      method: 'POST',
      path: '/networks/prune',
      operation: 'NetworkPrune',
      since: 25,
      coverage: 'partial',
      note: 'only the predefined networks exist, which are never pruned',
      query: { filters },
      handle(exchange, query) {
        checkFilters(query.filters, ['label', 'label!', 'until']);
        exchange.json(200, { NetworksDeleted: null });
      },
    }),
  ];
}

function matches(network: NetworkResource, asked: ReadonlyMap<string, readonly string[]>): boolean {
  const any = (name: string, test: (value: string) => boolean): boolean => {
    const values = asked.get(name);
    return values === undefined || values.length === 0 || values.some(test);
  };
  const builtIn = predefined.includes(network.Name);
  return (
    any('driver', (value) => value === network.Driver) &&
    any('id', (value) => network.Id.startsWith(value)) &&
    any('name', (value) => network.Name.includes(value)) &&
    any('scope', (value) => value === network.Scope) &&
    any('type', (value) => (value === 'builtin') === builtIn) &&
    any('dangling', (value) => {
      const wanted = value === 'true' || value === '1';
      return !builtIn && wanted === (Object.keys(network.Containers).length === 0);
    }) &&
    matchesLabels(network.Labels, asked.get('label') ?? [])
  );
}

function networkView(network: NetworkResource, version: ApiVersion): Partial<NetworkResource> {
  const { EnableIPv4, ...rest } = network;
  return version < 47 ? rest : { ...rest, EnableIPv4 };
}
