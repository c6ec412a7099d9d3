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
export async function parseCaches(
  cli: Cli,
  given: { from: readonly string[]; to: readonly string[] },
  classic: boolean,
): Promise<Caches> {
  const caches: Caches = { cachefrom: undefined, cacheto: undefined, sent: [], received: new Map() };
  const from: CacheEntry[] = [];
  for (const entry of given.from.flatMap(parseEntries)) {
    if (classic && entry.type !== 'registry') throw new Error(`unknown cache importer: ${entry.type}`);
    if (entry.type !== 'local') {
      from.push(entry);
      continue;
    }
    const { src = '', tag = 'latest' } = entry;
    if (src === '') throw new Error('local cache importer requires src');
    try {
      caches.sent.push(await readLayout(cli, resolve(src), entry['digest'], tag));
      from.push({ ...entry, src: `sent:${caches.sent.length - 1}` });
    } catch (error) {
      cli.err(`WARNING: local cache import at ${src} skipped due to err: ${(error as Error).message}\n`);
    }
  }
  const to = given.to.flatMap(parseEntries).map((entry) => {
    const { type, dest = '' } = entry;
    if (type !== 'local') return entry;
    if (dest === '') throw new Error('local cache exporter requires dest');
    const name = String(caches.received.size);
    caches.received.set(name, resolve(dest));
    return { ...entry, dest: name };
  });
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
  mediaType?: string;
  digest?: string;
  annotations?: Record<string, string>;
}

/** The documents of a cache, as far as we look into them. */
interface CacheManifest {
  config?: Descriptor;
  layers?: Descriptor[];
  manifests?: Descriptor[];
}

interface CacheConfig {
  layers?: { blob?: string; parent?: number }[];
  records?: { digest?: string; layers?: { layer?: number }[] }[];
}

/** The files of a layout that the engine needs of one cache; it looks whether they are what they should be. */
async function readLayout(
  cli: Cli,
  directory: string,
  digest: string | undefined,
  tag: string,
): Promise<SentCache> {
  const index = join(directory, 'index.json');
  if (!existsSync(index)) throw new Error(`could not read ${index}: no such file or directory`);
  const { manifests } = readJson<CacheManifest>(index);
  const isTagged = ({ annotations }: Descriptor): boolean =>
    annotations?.['org.opencontainers.image.ref.name'] === tag;
  const top = digest ?? manifests?.find(isTagged)?.digest;
  if (top === undefined) throw new Error(`no digest found for tag ${tag}`);
  const cache = readJson<CacheManifest>(join(directory, blobPath(top)));
  const named = [cache.config, ...(cache.layers ?? []), ...(cache.manifests ?? [])];
  const config = named.find((blob) => blob?.mediaType === 'application/vnd.buildkit.cacheconfig.v0')?.digest;
  const layers =
    config === undefined
      ? named.map((blob) => blob?.digest)
      : [config, ...(await neededLayers(cli, readJson(join(directory, blobPath(config)))))];
  const paths = [top, ...layers].flatMap((blob) => (blob === undefined ? [] : [blobPath(blob)]));
  return { directory, rules: ['*', '!index.json', ...paths.map((path) => `!${path}`)].join('\n') };
}

/** Layers of the steps that the engine does not know by itself. */
async function neededLayers(cli: Cli, { layers = [], records = [] }: CacheConfig): Promise<Set<string>> {
  const client = await cli.client();
  const { Unknown } = await client.post<{ Unknown: string[] }>('/coracle/build/steps', {
    json: { Steps: records.flatMap(({ digest }) => digest ?? []) },
  });
  const unknown = new Set<string | undefined>(Unknown);
  const needed = new Set<number>();
  for (const { digest, layers: tops = [] } of records) {
    if (!unknown.has(digest)) continue;
    for (const { layer = -1 } of tops) {
      for (let at = layer; layers[at] !== undefined && !needed.has(at); at = layers[at]?.parent ?? 0) {
        needed.add(at);
      }
    }
  }
  return new Set([...needed].flatMap((at) => layers[at]?.blob ?? []));
}

function readJson<T extends object>(path: string): T {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (typeof value === 'object' && value !== null) return value as T;
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
