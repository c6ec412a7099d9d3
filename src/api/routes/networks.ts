import { EngineError } from '../../errors/index.ts';
import type { Containers } from '../../containers/index.ts';
import type { Networks } from '../../network/index.ts';
import type { EndpointSettings, NetworkResource } from '../../spec/index.ts';
import type { ApiVersion } from '../api-version.ts';
import { boolean, nullable, string, struct } from '../json/schema.ts';
import { networkFilter, networkPruneFilter } from '../network-filter.ts';
import { filters, text } from '../query.ts';
import { route, type Route } from '../route.ts';
import { endpointSettings, networkCreateBody } from '../schemas/network.ts';

/** What these routes need of the engine. */
export type NetworkBackend = Pick<Networks, 'list' | 'inspect' | 'create' | 'remove' | 'prune'>;
export type ConnectionBackend = Pick<Containers, 'connectNetwork' | 'disconnectNetwork'>;

interface ConnectBody {
  Container: string;
  EndpointConfig: EndpointSettings | null;
}

const connectBody = struct<ConnectBody>('network.ConnectOptions', {
  Container: string(),
  EndpointConfig: nullable(endpointSettings),
});

interface DisconnectBody {
  Container: string;
  Force: boolean;
}

const disconnectBody = struct<DisconnectBody>('network.DisconnectOptions', {
  Container: string(),
  Force: boolean(),
});

export function networkRoutes(networks: NetworkBackend, containers: ConnectionBackend): Route[] {
  const list = (path: string, operation: string): Route =>
    route({
      method: 'GET',
      path,
      operation,
      query: { filters },
      handle(exchange, query) {
        const chosen = networks.list().filter(networkFilter(query.filters));
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
    route({
      method: 'POST',
      path: '/networks/create',
      operation: 'NetworkCreate',
      body: networkCreateBody,
      bodyRequired: true,
      async handle(exchange, _query, body) {
        const { id } = await networks.create({
          name: body.Name,
          driver: body.Driver,
          internal: body.Internal,
          attachable: body.Attachable,
          // A member of requests since then only.
          enableIpv4: exchange.version < 48 ? undefined : (body.EnableIPv4 ?? undefined),
          enableIpv6: body.EnableIPv6 ?? undefined,
          ipam: body.IPAM,
          options: body.Options,
          labels: body.Labels,
          scope: body.Scope,
          ingress: body.Ingress,
          configOnly: body.ConfigOnly,
          configFrom: body.ConfigFrom?.Network,
        });
        exchange.json(201, { Id: id, Warning: '' });
      },
    }),
    route({
      method: 'POST',
      path: '/networks/{id}/connect',
      operation: 'NetworkConnect',
      body: connectBody,
      bodyRequired: true,
      async handle(exchange, _query, body) {
        const network = exchange.params['id'] ?? '';
        const settings = { ...body.EndpointConfig };
        // Not looked at until then.
        if (exchange.version < 54) delete settings.MacAddress;
        await containers.connectNetwork(body.Container, network, settings);
        exchange.empty(200);
      },
    }),
    route({
      method: 'POST',
      path: '/networks/{id}/disconnect',
      operation: 'NetworkDisconnect',
      body: disconnectBody,
      bodyRequired: true,
      async handle(exchange, _query, body) {
        const network = exchange.params['id'] ?? '';
        await containers.disconnectNetwork(body.Container, network, { force: body.Force });
        exchange.empty(200);
      },
    }),
    route({
      method: 'DELETE',
      path: '/networks/{id}',
      operation: 'NetworkDelete',
      async handle(exchange) {
        await networks.remove(exchange.params['id'] ?? '');
        exchange.empty(204);
      },
    }),
    route({
      method: 'POST',
      path: '/networks/prune',
      operation: 'NetworkPrune',
      since: 25,
      query: { filters },
      async handle(exchange, query) {
        const removed = await networks.prune(networkPruneFilter(query.filters));
        exchange.json(200, { NetworksDeleted: removed.length === 0 ? null : removed });
      },
    }),
  ];
}

function networkView(network: NetworkResource, version: ApiVersion): object {
  const { EnableIPv4, Status, ...rest } = network;
  return {
    ...rest,
    ...(version < 47 ? {} : { EnableIPv4 }),
    ...(version < 52 || Status === undefined ? {} : { Status: statusView(Status) }),
  };
}

/** Without its types JSON has no word for a number of 64 bits. */
const { rawJSON } = JSON as unknown as { rawJSON(this: void, text: string): number };

function statusView({ IPAM }: NonNullable<NetworkResource['Status']>): object {
  const subnets = Object.entries(IPAM.Subnets).map(([subnet, { IPsInUse, DynamicIPsAvailable }]) => [
    subnet,
    { IPsInUse: rawJSON(String(IPsInUse)), DynamicIPsAvailable: rawJSON(String(DynamicIPsAvailable)) },
  ]);
  return { IPAM: { Subnets: Object.fromEntries(subnets) as object } };
}
