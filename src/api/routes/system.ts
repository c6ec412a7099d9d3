import type { EngineFacts, EngineServices } from '../../engine/index.ts';
import type { Exchange } from '../exchange.ts';
import { infoView, versionView, type InfoSettings } from '../views/info.ts';
import { route, type Route } from '../route.ts';

/** What these routes need of the engine. */
export interface SystemBackend {
  containers: Pick<EngineServices['containers'], 'list'>;
  images: Pick<EngineServices['images'], 'list'>;
  facts(): EngineFacts;
}

export function systemRoutes(backend: SystemBackend, settings: () => InfoSettings): Route[] {
  const ping = (exchange: Exchange): void => {
    const { response } = exchange;
    response.setHeader('Cache-Control', 'no-cache, no-store, must-revalidate');
    response.setHeader('Pragma', 'no-cache');
    // 1 is the classic builder; 2 would make clients start a BuildKit session.
    response.setHeader('Builder-Version', '1');
    response.setHeader('Swarm', 'inactive');
    if (exchange.request.method === 'HEAD') {
      response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': 0 });
      response.end();
    } else exchange.text(200, 'OK');
  };
  return [
    route({ method: 'GET', path: '/_ping', operation: 'SystemPing', handle: ping }),
    route({ method: 'HEAD', path: '/_ping', operation: 'SystemPingHead', handle: ping }),
    route({
      method: 'GET',
      path: '/version',
      operation: 'SystemVersion',
      handle: (exchange) => exchange.json(200, versionView(backend.facts(), settings())),
    }),
    route({
      method: 'GET',
      path: '/info',
      operation: 'SystemInfo',
      handle(exchange) {
        const counts = {
          containers: backend.containers.list({ all: true }).map((record) => record.state.status),
          images: backend.images.list().length,
        };
        exchange.json(200, infoView(backend.facts(), counts, settings(), exchange.version));
      },
    }),
  ];
}
