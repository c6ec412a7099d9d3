import { EngineError } from '../../errors/index.ts';
import { progressOf, type Images } from '../../images/index.ts';
import { decodeCredentials } from '../../registry/index.ts';
import {
  hostPlatform,
  parsePlatform,
  familiarName,
  formatReference,
  isDigest,
  parseReference,
  withTag,
  type Platform,
  type Reference,
} from '../../spec/index.ts';
import type { Exchange } from '../exchange.ts';
import { archivePlatforms } from '../platform-query.ts';
import { ProgressStream } from '../progress-stream.ts';
import { flagOr, text, texts } from '../query.ts';
import { openRemoteArchive } from '../remote-archive.ts';
import { route, type Route } from '../route.ts';
import { sendStream } from './archive.ts';
import { registryAuth } from './registry.ts';

/** What these routes need of the engine. */
export interface ImageTransferBackend {
  images: Pick<Images, 'load' | 'save' | 'import' | 'pull'>;
}

type TransferImages = ImageTransferBackend['images'];

/** How images come in and go out, but for the push, which is with the registries. */
export function imageTransferRoutes({ images }: ImageTransferBackend): Route[] {
  return [
    route({
      method: 'POST',
      path: '/images/load',
      operation: 'ImageLoad',
      query: { quiet: flagOr(true), platform: texts },
      async handle(exchange, query) {
        const platforms = archivePlatforms(exchange.version, query.platform);
        const output = new ProgressStream(exchange);
        const load = async (): Promise<void> => {
          await images.load(exchange.body, {
            platforms,
            signal: exchange.signal,
            onProgress(progress) {
              if (!query.quiet || progress.progressDetail === undefined) output.write(progress);
            },
          });
        };
        await output.run(load, { tellsAll: true });
      },
    }),
    route({
      method: 'POST',
      path: '/images/create',
      operation: 'ImageCreate',
      query: {
        fromImage: text,
        fromSrc: text,
        repo: text,
        tag: text,
        message: text,
        platform: text,
        changes: texts,
      },
      handle: (exchange, query) =>
        query.fromImage === '' ? importImage(images, exchange, query) : pull(images, exchange, query),
    }),
    route({
      method: 'GET',
      path: '/images/get',
      operation: 'ImageGetAll',
      query: { names: texts, platform: texts },
      handle: (exchange, query) => save(images, exchange, query.names, query.platform),
    }),
    route({
      method: 'GET',
      path: '/images/{name}/get',
      operation: 'ImageGet',
      query: { platform: texts },
      handle: (exchange, query) => save(images, exchange, [exchange.params['name'] ?? ''], query.platform),
    }),
  ];
}

function save(
  images: TransferImages,
  exchange: Exchange,
  names: readonly string[],
  given: readonly string[],
): Promise<void> {
  const platforms = archivePlatforms(exchange.version, given);
  const stream = images.save(names, { platforms, signal: exchange.signal });
  return sendStream(exchange, stream, 'application/x-tar', false);
}

interface CreateQuery {
  fromImage: string;
  platform: string;
  fromSrc: string;
  repo: string;
  tag: string;
  message: string;
  changes: string[];
}

function askedPlatform(exchange: Exchange, platform: string): { platform?: Platform } {
  if (platform === '' || exchange.version < 32) return {};
  return { platform: parsePlatform(platform, hostPlatform()) };
}

/** One tar as an image: the request's body, or what a URL gives. */
async function importImage(images: TransferImages, exchange: Exchange, query: CreateQuery): Promise<void> {
  const { fromSrc, repo, tag, message, changes } = query;
  const platform = askedPlatform(exchange, query.platform);
  const { signal } = exchange;
  const output = new ProgressStream(exchange);
  await output.run(async () => {
    const archive = fromSrc === '-' ? exchange.body : remoteArchive(fromSrc, output, signal);
    const image = await images.import(await archive, {
      ...(repo === '' ? {} : { reference: tag === '' ? repo : `${repo}:${tag}` }),
      ...platform,
      message: message === '' ? `Imported from ${fromSrc}` : message,
      changes,
      signal,
      source: fromSrc,
    });
    output.write({ status: image.id });
  });
}

async function remoteArchive(
  source: string,
  output: ProgressStream,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const url = parseUrl(source.includes('://') ? source : `http://${source}`);
  const { body, sizeBytes } = await openRemoteArchive(url, signal);
  output.write({ status: `Downloading from ${url.href}` });
  return withProgress(body, sizeBytes, output);
}

function parseUrl(source: string): URL {
  const url = URL.parse(source);
  if (url !== null && ['http:', 'https:'].includes(url.protocol)) return url;
  throw new EngineError(
    'invalid-parameter',
    url === null
      ? `parse ${JSON.stringify(source)}: invalid URL`
      : `Get ${JSON.stringify(source)}: unsupported protocol scheme ${JSON.stringify(url.protocol.slice(0, -1))}`,
  );
}

/** Tells of the first bytes, then at most ten times a second, and of the last. */
async function* withProgress(
  body: AsyncIterable<Uint8Array>,
  sizeBytes: number,
  output: ProgressStream,
): AsyncIterable<Uint8Array> {
  const tell = (): void => output.write(progressOf('', 'Importing', current, sizeBytes));
  let current = 0;
  let nextMs = 0;
  for await (const chunk of body) {
    current += chunk.length;
    const now = performance.now();
    if (now >= nextMs) {
      tell();
      nextMs = now + 100;
    }
    yield chunk;
  }
  tell();
}

/** Without a tag or digest: all tags of the repository. */
async function pull(
  images: TransferImages,
  exchange: Exchange,
  { fromImage, tag, platform }: CreateQuery,
): Promise<void> {
  // `pull -a` of old clients ends the name with a colon.
  const name = fromImage.replace(/:$/, '');
  const named = parseReference(name);
  const { domain, path } = named;
  const asked: Reference =
    tag === '' ? named : isDigest(tag) ? { domain, path, digest: tag } : withTag({ domain, path }, tag);
  if (familiarName(asked) === 'scratch') throw new EngineError('forbidden', "'scratch' is a reserved name");
  const text = formatReference(asked);
  parseReference(text);
  const wanted = askedPlatform(exchange, platform);
  const output = new ProgressStream(exchange);
  await output.run(async () => {
    await images.pull(text, {
      allTags: true,
      ...wanted,
      credentials: decodeCredentials(registryAuth(exchange)),
      signal: exchange.signal,
      onProgress: (progress) => output.write(progress),
    });
  });
}
