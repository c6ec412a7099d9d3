import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decompress, writeTar, type TarSource } from '../archive/index.ts';
import { memoryContentStore, type ContentStore } from '../content/index.ts';
import { MemoryEventBus } from '../events/index.ts';
import { memoryRecords, type Records } from '../records/index.ts';
import type { Registries } from '../registry/index.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import { chainIds, digestHex, digestOf, type Digest, type Platform } from '../spec/index.ts';
import type { UnpackLayer } from './layers.ts';
import { LocalImages } from './local-images.ts';

/** For this room's tests: images over stores in memory, and archives to load. */
export interface TestImages extends Disposable {
  images: LocalImages;
  content: ContentStore;
  snapshotter: TestSnapshotter;
  records: Records;
  /** `action name` of each image event so far. */
  events: string[];
  /** What a restart of the engine would see. */
  reopen(): Promise<LocalImages>;
  destroyContainer(id: string): void;
  createContainer(image: string): void;
  /** Moves the clock. */
  passMs(ms: number): void;
}

/** On a machine of which the tests know what it is. */
const amd64 = { os: 'linux', architecture: 'amd64' };

export async function testImages(
  registries?: Registries,
  driver = 'overlay2',
  machine: Platform = amd64,
): Promise<TestImages> {
  const content = memoryContentStore();
  const records = memoryRecords();
  const snapshotter = new TestSnapshotter(driver);
  const bus = new MemoryEventBus();
  const events: string[] = [];
  let nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
  bus.subscribe((event) => {
    if (event.Type === 'image') events.push(`${event.Action} ${event.Actor.Attributes['name']}`);
  });
  const make = () =>
    new LocalImages({
      content,
      snapshotter: snapshotter as unknown as Snapshotter,
      records,
      events: bus,
      unpackLayer: digestOnly,
      // Stands for the instructions of Dockerfiles, which another room knows.
      applyChanges: (config, changes) => ({ ...config, Cmd: [...changes] }),
      machine,
      ...(registries === undefined ? {} : { registries }),
      nowMs: () => nowMs,
    });
  const images = make();
  await images.open();
  return {
    images,
    content,
    snapshotter,
    records,
    events,
    reopen: async () => {
      const again = make();
      await again.open();
      return again;
    },
    destroyContainer: (id) => bus.publish('container', 'destroy', id, {}),
    createContainer: (image) => bus.publish('container', 'create', 'c'.repeat(64), { image }),
    passMs: (ms) => {
      nowMs += ms;
    },
    [Symbol.dispose]: () => {
      content[Symbol.dispose]();
      records[Symbol.dispose]();
    },
  };
}

let unpacked = 0;

/** Reads the layer as the real one does and writes one file, so that there is something to count. */
const digestOnly: UnpackLayer = async ({ source, directory }, { signal }) => {
  const hash = createHash('sha256');
  let archiveBytes = 0;
  for await (const chunk of decompress(createReadStream(source))) {
    signal.throwIfAborted();
    hash.update(chunk);
    archiveBytes += chunk.length;
  }
  // Time in which other operations can do harm.
  await new Promise((resolve) => setTimeout(resolve, (unpacked++ * 3) % 4));
  writeFileSync(join(directory, 'unpacked'), 'x');
  return { diffId: `sha256:${hash.digest('hex')}`, archiveBytes };
};

/** The part of a Snapshotter that images use; layers are names only. */
export class TestSnapshotter {
  readonly driver: string;
  readonly created: Digest[] = [];
  /** In the order in which making them began: they end as their workers do. */
  readonly begun: Digest[] = [];
  readonly #layers = new Set<Digest>();
  activeKeys: string[] = [];
  used = new Set<Digest>();

  constructor(driver: string) {
    this.driver = driver;
  }

  hasLayer(chainId: Digest): boolean {
    return this.#layers.has(chainId);
  }

  async createLayer(
    chainId: Digest,
    _parent: Digest | null,
    fill: (directory: string, form: 'overlay' | 'merged') => Promise<void>,
  ): Promise<void> {
    this.begun.push(chainId);
    const directory = mkdtempSync(join(tmpdir(), 'layer-'));
    try {
      await fill(directory, 'overlay');
    } finally {
      rmSync(directory, { recursive: true });
    }
    this.#layers.add(chainId);
    this.created.push(chainId);
  }

  async layerSizeBytes(): Promise<number> {
    return 100;
  }

  async layerDiskBytes(): Promise<number> {
    return 4096;
  }

  async removeLayer(chainId: Digest): Promise<void> {
    this.#layers.delete(chainId);
  }

  layers(): Digest[] {
    return [...this.#layers];
  }

  usedLayers(): Set<Digest> {
    return this.used;
  }

  active(): string[] {
    return this.activeKeys;
  }
}

export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream));
}

/** A tar of files, given as `path: content`. */
export async function tarOf(
  files: Readonly<Record<string, string | Buffer>>,
  more: TarSource[] = [],
): Promise<Buffer> {
  const members = Object.entries(files).map(([path, content]): TarSource => ({
    path,
    type: 'file',
    mode: 0o644,
    body: Buffer.from(content),
  }));
  return await bytesOf(writeTar([...members, ...more]));
}

export async function* chunked(bytes: Buffer, size = 1000): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export interface TestImage {
  config: Buffer;
  id: Digest;
  layers: Buffer[];
  diffIds: Digest[];
  chain: Digest[];
}

/** An image of layers that each hold one file with the given content. */
export async function testImage(contents: readonly string[], more: object = {}): Promise<TestImage> {
  const layers = await Promise.all(contents.map((content, index) => tarOf({ [`file${index}`]: content })));
  const diffIds = layers.map((layer) => digestOf(layer));
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      created: '2020-01-01T00:00:00Z',
      config: { Cmd: ['sh'], Labels: { kind: 'test' } },
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: layers.map(() => ({ created: '2020-01-01T00:00:00Z', created_by: 'ADD' })),
      ...more,
    }),
  );
  return { config, id: digestOf(config), layers, diffIds, chain: chainIds(diffIds) };
}

/** What `docker save` wrote before Docker 25. */
export async function dockerArchive(
  images: readonly { image: TestImage; tags: string[] | null; layers?: Buffer[] }[],
): Promise<Buffer> {
  const files: Record<string, Buffer | string> = {};
  const manifest = images.map(({ image, tags, layers = image.layers }, number) => {
    const configName = `${digestHex(image.id)}.json`;
    files[configName] = image.config;
    const paths = layers.map((layer, index) => {
      const path = `${number}-${index}/layer.tar`;
      files[path] = layer;
      return path;
    });
    return { Config: configName, RepoTags: tags, Layers: paths };
  });
  return await tarOf({ ...files, 'manifest.json': JSON.stringify(manifest) });
}
