import type { Images } from '../../images/index.ts';
import { ProgressStream } from '../progress-stream.ts';
import { text } from '../query.ts';
import { route, type Route } from '../route.ts';

/** What Docker's API does not have, under /coracle. @see docs/dev/extensions.md */
export function extensionRoutes(images: Pick<Images, 'bootstrap'>): Route[] {
  return [
    route({
      method: 'POST',
      path: '/coracle/images/bootstrap',
      operation: '(ImageBootstrap)',
      query: { name: text },
      async handle(exchange, query) {
        const output = new ProgressStream(exchange);
        await output.run(async () => {
          const image = await images.bootstrap(query.name, {
            signal: exchange.signal,
            onProgress: (line) => output.write({ stream: line.endsWith('\n') ? line : `${line}\n` }),
          });
          output.write({ stream: `Made ${image.tags.join(', ')}\n`, aux: { ID: image.id } });
        });
      },
    }),
  ];
}
