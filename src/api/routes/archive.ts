import { createGzip } from 'node:zlib';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EngineError } from '../../errors/index.ts';
import type { Containers, PathStat } from '../../containers/index.ts';
import type { Exchange } from '../exchange.ts';
import { flag, text } from '../query.ts';
import { route, type Route } from '../route.ts';

/** What these routes need of the engine. */
export type ArchiveBackend = Pick<Containers, 'statPath' | 'readArchive' | 'writeArchive' | 'export'>;

export function archiveRoutes(containers: ArchiveBackend): Route[] {
  return [
    route({
      method: 'HEAD',
      path: '/containers/{id}/archive',
      operation: 'ContainerArchiveInfo',
      query: { path: text },
      async handle(exchange, query) {
        const stat = await containers.statPath(exchange.params['id'] ?? '', requiredPath(query.path));
        exchange.response.setHeader('X-Docker-Container-Path-Stat', encodeStat(stat));
        exchange.empty(200);
      },
    }),
    route({
      method: 'GET',
      path: '/containers/{id}/archive',
      operation: 'ContainerArchive',
      query: { path: text },
      async handle(exchange, query) {
        const { stat, archive } = await containers.readArchive(
          exchange.params['id'] ?? '',
          requiredPath(query.path),
        );
        exchange.response.setHeader('X-Docker-Container-Path-Stat', encodeStat(stat));
        await sendStream(exchange, archive, 'application/x-tar', acceptsGzip(exchange));
      },
    }),
    route({
      method: 'PUT',
      path: '/containers/{id}/archive',
      operation: 'PutContainerArchive',
      query: { path: text, noOverwriteDirNonDir: flag, copyUIDGID: flag },
      async handle(exchange, query) {
        await containers.writeArchive(exchange.params['id'] ?? '', requiredPath(query.path), exchange.body, {
          noOverwriteDirNonDir: query.noOverwriteDirNonDir,
          copyUidGid: query.copyUIDGID,
        });
        exchange.empty(200);
      },
    }),
    route({
      method: 'GET',
      path: '/containers/{id}/export',
      operation: 'ContainerExport',
      async handle(exchange) {
        const archive = await containers.export(exchange.params['id'] ?? '');
        await sendStream(exchange, archive, 'application/octet-stream', false);
      },
    }),
  ];
}

function requiredPath(path: string): string {
  if (path !== '') return path;
  throw new EngineError('invalid-parameter', 'bad parameter: path cannot be empty');
}

function encodeStat(stat: PathStat): string {
  const { name, sizeBytes, mode, mtime, linkTarget } = stat;
  return Buffer.from(JSON.stringify({ name, size: sizeBytes, mode, mtime, linkTarget })).toString('base64');
}

function acceptsGzip(exchange: Exchange): boolean {
  const accepted = exchange.request.headers['accept-encoding'];
  return typeof accepted === 'string' && /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(accepted);
}

/** Streams bytes as the answer; a client that goes away ends the source. */
export async function sendStream(
  exchange: Exchange,
  source: AsyncIterable<Uint8Array>,
  contentType: string,
  gzip: boolean,
): Promise<void> {
  const { response, signal } = exchange;
  const input = source[Symbol.asyncIterator]();
  // The head waits for the first chunk, so that an error before it is still told as one.
  const first = await input.next();
  exchange.open(200, { 'Content-Type': contentType, ...(gzip ? { 'Content-Encoding': 'gzip' } : {}) });
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (let item = first; item.done !== true; item = await input.next()) yield item.value;
    } finally {
      await input.return?.();
    }
  };
  try {
    if (gzip) await pipeline(Readable.from(rest()), createGzip({ level: 1 }), response);
    else await pipeline(Readable.from(rest()), response);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
