import { libraryOf, libraryPath, serveLibrary, type EngineServices } from '../../engine/index.ts';
import { ProgressStream } from '../progress-stream.ts';
import { text } from '../query.ts';
import { route, type Route } from '../route.ts';
import { writeHijackHead } from './container-streams.ts';

/** What Docker's API does not have, under /coracle. @see docs/dev/extensions.md */
export function extensionRoutes(engine: EngineServices): Route[] {
  // Made when it is first called: most clients never do.
  let library: ReturnType<typeof libraryOf> | undefined;
  return [
    route({
      method: 'POST',
      path: libraryPath,
      operation: '(EngineCall)',
      upgrades: true,
      query: {},
      handle(exchange) {
        library ??= libraryOf(engine);
        serveLibrary(library, writeHijackHead(exchange, false));
        return Promise.resolve();
      },
    }),
    route({
      method: 'POST',
      path: '/coracle/images/bootstrap',
      operation: '(ImageBootstrap)',
      query: { name: text },
      async handle(exchange, query) {
        const output = new ProgressStream(exchange);
        await output.run(async () => {
          const image = await engine.images.bootstrap(query.name, {
            signal: exchange.signal,
            onProgress: (line) => output.write({ stream: line.endsWith('\n') ? line : `${line}\n` }),
          });
          output.write({ stream: `Made ${image.tags.join(', ')}\n`, aux: { ID: image.id } });
        });
      },
    }),
  ];
}
