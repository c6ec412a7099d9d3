import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LayoutWriter, readTar } from '../../archive/index.ts';
import type { ApiClient } from '../../client/index.ts';
import type { Cli } from '../cli.ts';
import { parseCsv } from '../opts/csv.ts';

/** What `--cache-to` or `--cache-from` say once. */
interface CacheEntry {
  type: string;
  [name: string]: string;
}

/** A directory that caches are read from: what of it is sent. */
export interface SentCache {
  directory: string;
  /** An ignore file that leaves what the engine needs. */
  rules: string;
}

/** Caches as the engine wants them. */
export interface Caches {
  /** JSON; undefined for none. */
  cachefrom: string | undefined;
  cacheto: string | undefined;
  /** What `sent:<index>` in `cachefrom` means. */
  sent: SentCache[];
  /** Directories that get a cache, by the name in `cacheto`. */
  received: Map<string, string>;
}

/** @param classic the engine knows names of images alone @throws {Error} with docker's texts */
export function parseCaches(
  cli: Cli,
  given: { from: readonly string[]; to: readonly string[] },
  classic: boolean,
): Caches {
  const caches: Caches = { cachefrom: undefined, cacheto: undefined, sent: [], received: new Map() };
  const from = given.from.flatMap(parseEntries).flatMap((entry) => {
    if (entry.type !== 'local') return [entry];
    const { src = '', tag = 'latest' } = entry;
    if (src === '') throw new Error('local cache importer requires src');
    try {
      caches.sent.push(readLayout(resolve(src), entry['digest'], tag));
    } catch (error) {
      cli.err(`WARNING: local cache import at ${src} skipped due to err: ${(error as Error).message}\n`);
      return [];
    }
    return [{ ...entry, src: `sent:${caches.sent.length - 1}` }];
  });
  const to = given.to.flatMap(parseEntries).map((entry) => {
    const { type, dest = '' } = entry;
    if (type !== 'local') return entry;
    if (dest === '') throw new Error('local cache exporter requires dest');
    const name = String(caches.received.size);
    caches.received.set(name, resolve(dest));
    return { ...entry, dest: name };
  });
  const foreign = from.find(({ type }) => type !== 'registry');
  if (classic && foreign !== undefined) throw new Error(`unknown cache importer: ${foreign.type}`);
  if (from.length > 0) caches.cachefrom = JSON.stringify(classic ? from.map(({ ref }) => ref) : from);
  if (to.length > 0) caches.cacheto = JSON.stringify(to);
  return caches;
}

/** `NAME,NAME`, `inline` or `type=registry,ref=NAME`. */
function parseEntries(text: string): CacheEntry[] {
  if (text === '') return [];
  const fields = parseCsv(text);
  if (!text.includes('=')) {
    return fields.map((ref) => (ref === 'inline' ? { type: ref } : { type: 'registry', ref }));
  }
  const entry: CacheEntry = { type: '' };
  for (const field of fields) {
    const equals = field.indexOf('=');
    if (equals === -1) throw new Error(`invalid value ${field}`);
    entry[field.slice(0, equals).toLowerCase()] = field.slice(equals + 1);
  }
  if (entry.type === '') throw new Error(`type required for ${JSON.stringify(text)}`);
  return [entry];
}

interface Descriptor {
  digest?: string;
  annotations?: Record<string, string>;
}

/** The files of a layout that belong to one cache; the engine looks whether they are what they should be. */
function readLayout(directory: string, digest: string | undefined, tag: string): SentCache {
  const index = join(directory, 'index.json');
  if (!existsSync(index)) throw new Error(`could not read ${index}: no such file or directory`);
  const { manifests } = readJson(index) as { manifests?: Descriptor[] };
  const isTagged = ({ annotations }: Descriptor): boolean =>
    annotations?.['org.opencontainers.image.ref.name'] === tag;
  const top = digest ?? manifests?.find(isTagged)?.digest;
  if (top === undefined) throw new Error(`no digest found for tag ${tag}`);
  const cache = readJson(join(directory, blobPath(top))) as {
    config?: Descriptor;
    layers?: Descriptor[];
    manifests?: Descriptor[];
  };
  const named = [{ digest: top }, cache.config, ...(cache.layers ?? []), ...(cache.manifests ?? [])];
  const paths = named.flatMap((blob) => (blob?.digest === undefined ? [] : [blobPath(blob.digest)]));
  return { directory, rules: ['*', '!index.json', ...paths.map((path) => `!${path}`)].join('\n') };
}

function readJson(path: string): object {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (typeof value === 'object' && value !== null) return value;
  throw new Error(`could not read ${path}: it holds no object`);
}

/** @throws {Error} so that no name leads elsewhere */
function blobPath(digest: string): string {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (hex === undefined) throw new Error(`invalid digest ${digest}`);
  return `blobs/sha256/${hex}`;
}

/**
 * Waits for a cache of a build and writes it to a directory, which is as it was before when that does not come to its end.
 * @param query which build, and which of its caches
 */
export async function receiveCache(
  client: ApiClient,
  query: { ticket: string; id: string },
  directory: string,
): Promise<void> {
  const response = await client.request('GET', '/coracle/build/cache', { query });
  if (response.status === 204) return;
  using layout = new LayoutWriter(directory);
  const undo = (): void => {
    layout[Symbol.dispose]();
    process.exit(130);
  };
  process.once('SIGINT', undo).once('SIGTERM', undo);
  try {
    for await (const entry of readTar(response.body)) {
      const hex = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(entry.path)?.[1];
      if (hex !== undefined) await layout.put(`sha256:${hex}`, entry.body());
      else if (entry.path === 'index.json') {
        const index = JSON.parse((await entry.bytes(MAX_INDEX_BYTES)).toString('utf8')) as {
          manifests: (Descriptor & { digest: `sha256:${string}`; mediaType: string; size: number })[];
        };
        for (const { annotations, ...manifest } of index.manifests) {
          layout.commit(annotations?.['org.opencontainers.image.ref.name'] ?? 'latest', manifest);
        }
      }
    }
  } finally {
    process.off('SIGINT', undo).off('SIGTERM', undo);
  }
}

const MAX_INDEX_BYTES = 1024 * 1024;
