import { EngineError } from '../errors/index.ts';
import type { RecordCollection, Records } from '../records/index.ts';
import {
  chainIds,
  familiarReference,
  formatReference,
  parseAnyReference,
  parseReference,
  repositoryName,
  withDefaultTag,
  type Descriptor,
  type Digest,
  type ImageConfig,
  type Reference,
} from '../spec/index.ts';
import type { Image } from './images.ts';
import type { Shared } from './leases.ts';

export interface LayerRecord {
  /** The layer as it came, compressed or not. */
  blob: Descriptor;
  /** Bytes of the uncompressed tar, which `save` writes. */
  tarSizeBytes: number;
  /** Bytes of the files in it. */
  sizeBytes: number;
}

/** What is durable of an image besides its config, which is a blob. */
export interface ImageRecord {
  /** Bottom first, one for each of the config's diff ids. */
  layers: LayerRecord[];
  /** The manifest it came with, whose layers are the blobs above; null when it came without. */
  manifest: Descriptor | null;
  /** The indexes that the manifest was chosen from, kept as they were pulled. */
  indexes?: Descriptor[];
  parent: string;
  lastTaggedAtMs: number | null;
  /**
   * Set when the image has been removed while stopped containers used it: their ids. It is no longer seen, and its
   * layers go when the last of them goes.
   */
  heldBy?: string[];
}

interface Entry {
  config: ImageConfig;
  record: ImageRecord;
  references: Reference[];
  view: Image | undefined;
}

/** All images and references in memory, and their records. Changes are made inside transaction(). */
export class ImageCatalog {
  readonly #images: RecordCollection<ImageRecord>;
  readonly #tags: RecordCollection<Digest>;
  readonly #records: Records;
  #entries = new Map<Digest, Entry>();
  /** Canonical reference to image id. */
  #references = new Map<string, Digest>();
  /** How many images refer to a blob or layer. */
  #uses = new Map<string, number>();

  constructor(records: Records) {
    this.#records = records;
    this.#images = records.collection('images');
    this.#tags = records.collection('image-references');
  }

  /** Fills the catalog. An image whose config cannot be read is forgotten, since nothing can be done with it. */
  async open(readConfig: (id: Digest) => Promise<ImageConfig>): Promise<void> {
    for (const [id, record] of this.#images.entries()) {
      const config = await readConfig(id).catch(() => undefined);
      if (config === undefined) this.#images.delete(id);
      else this.#insert(id, config, record);
    }
    for (const [text, id] of this.#tags.entries()) {
      const entry = this.#entries.get(id);
      if (entry === undefined) {
        this.#tags.delete(text);
        continue;
      }
      this.#references.set(text, id);
      entry.references.push(parseReference(text));
    }
  }

  /** Changes records and memory together, or neither (a full disk, say). */
  transaction<T>(body: () => T): T {
    const entries = new Map([...this.#entries].map(([id, entry]) => [id, { ...entry }]));
    const references = new Map(this.#references);
    const uses = new Map(this.#uses);
    try {
      const result = this.#records.transaction(body);
      this.#records.checkpoint();
      return result;
    } catch (error) {
      this.#entries = entries;
      this.#references = references;
      this.#uses = uses;
      throw error;
    }
  }

  /** Ids of the images there are, without those only held by containers. */
  ids(): Digest[] {
    return [...this.#entries].filter(([, entry]) => entry.record.heldBy === undefined).map(([id]) => id);
  }

  held(): [id: Digest, heldBy: string[]][] {
    return [...this.#entries].flatMap(([id, { record }]) =>
      record.heldBy === undefined ? [] : [[id, record.heldBy]],
    );
  }

  view(id: Digest): Image {
    const entry = this.#entry(id);
    entry.view ??= makeView(id, entry);
    return entry.view;
  }

  record(id: Digest): ImageRecord | undefined {
    return this.#entries.get(id)?.record;
  }

  /** Docker's way: an id, a reference, then an id prefix. @throws {EngineError} `not-found` "No such image: x" */
  resolve(nameOrId: string): Digest {
    const parsed = parseAnyReference(nameOrId);
    if (parsed.kind === 'digest') {
      if (this.#visible(parsed.digest)) return parsed.digest;
      throw noSuchImage(parsed.digest);
    }
    const wanted = withDefaultTag(parsed.reference);
    const found = this.#references.get(formatReference(lookupForm(wanted))) ?? this.#byPrefix(nameOrId);
    if (found === undefined) throw noSuchImage(familiarReference(wanted));
    return found;
  }

  referenced(reference: Reference): Digest | undefined {
    return this.#references.get(formatReference(lookupForm(withDefaultTag(reference))));
  }

  /** References to an image, sorted. */
  references(id: Digest): Reference[] {
    return this.#entry(id).references.toSorted((a, b) => compare(formatReference(a), formatReference(b)));
  }

  /** Every reference of a repository, sorted, with the image it names. */
  repository(reference: Reference): { reference: Reference; id: Digest }[] {
    const name = repositoryName(reference);
    return this.ids()
      .flatMap((id) => this.references(id).map((found) => ({ reference: found, id })))
      .filter((found) => repositoryName(found.reference) === name)
      .toSorted((a, b) => compare(formatReference(a.reference), formatReference(b.reference)));
  }

  children(id: Digest): Digest[] {
    return this.ids().filter((other) => this.record(other)?.parent === id);
  }

  /** A layer record for the same content, whichever image has it. */
  layer(chainId: Digest): LayerRecord | undefined {
    if (!this.refersTo({ kind: 'layer', digest: chainId })) return undefined;
    for (const { config, record } of this.#entries.values()) {
      const index = chainIds(config.rootfs.diff_ids).indexOf(chainId);
      if (index !== -1) return record.layers[index];
    }
    return undefined;
  }

  put(id: Digest, config: ImageConfig, record: ImageRecord): void {
    const references = this.#entries.get(id)?.references ?? [];
    if (this.#entries.has(id)) this.#count(id, -1);
    this.#images.put(id, record);
    this.#insert(id, config, record);
    this.#entry(id).references = references;
  }

  /** Its references must be gone. */
  delete(id: Digest): void {
    this.#count(id, -1);
    this.#entries.delete(id);
    this.#images.delete(id);
  }

  /** Takes the reference from the image that had it. */
  setReference(reference: Reference, id: Digest, nowMs: number): void {
    this.removeReference(reference);
    const text = formatReference(reference);
    const entry = this.#entry(id);
    this.#references.set(text, id);
    this.#tags.put(text, id);
    entry.references = [...entry.references, reference];
    entry.record = { ...entry.record, lastTaggedAtMs: nowMs };
    this.#images.put(id, entry.record);
    entry.view = undefined;
  }

  removeReference(reference: Reference): void {
    const text = formatReference(reference);
    const id = this.#references.get(text);
    if (id === undefined) return;
    this.#references.delete(text);
    this.#tags.delete(text);
    const entry = this.#entry(id);
    entry.references = entry.references.filter((other) => formatReference(other) !== text);
    entry.view = undefined;
  }

  refersTo(shared: Shared): boolean {
    return this.#uses.has(`${shared.kind} ${shared.digest}`);
  }

  /** All that an image refers to on disk, upper layers first. */
  shared(id: Digest): Shared[] {
    const { config, record } = this.#entry(id);
    const layers = chainIds(config.rootfs.diff_ids).toReversed();
    const blobs = [id, ...record.layers.map((layer) => layer.blob.digest)];
    if (record.manifest !== null) blobs.push(record.manifest.digest);
    for (const index of record.indexes ?? []) blobs.push(index.digest);
    return [
      ...layers.map((digest) => ({ kind: 'layer' as const, digest })),
      ...blobs.map((digest) => ({ kind: 'blob' as const, digest })),
    ];
  }

  #insert(id: Digest, config: ImageConfig, record: ImageRecord): void {
    this.#entries.set(id, { config, record, references: [], view: undefined });
    this.#count(id, 1);
  }

  #count(id: Digest, by: 1 | -1): void {
    for (const { kind, digest } of this.shared(id)) {
      const key = `${kind} ${digest}`;
      const uses = (this.#uses.get(key) ?? 0) + by;
      if (uses > 0) this.#uses.set(key, uses);
      else this.#uses.delete(key);
    }
  }

  #entry(id: Digest): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw noSuchImage(id);
    return entry;
  }

  #visible(id: Digest): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && entry.record.heldBy === undefined;
  }

  #byPrefix(text: string): Digest | undefined {
    const hex = text.startsWith('sha256:') ? text.slice(7) : text;
    if (!/^[0-9a-f]+$/.test(hex)) return undefined;
    const matches = this.ids().filter((id) => id.startsWith(hex, 7));
    return matches.length === 1 ? matches[0] : undefined;
  }
}

/** With a digest, the tag may have moved on: only the digest counts. */
function lookupForm(reference: Reference): Reference {
  const { domain, path, digest } = reference;
  return digest === undefined ? reference : { domain, path, digest };
}

export function noSuchImage(name: string): EngineError {
  return new EngineError('not-found', `No such image: ${name}`, { code: 'no-such-image' });
}

function makeView(id: Digest, { config, record, references }: Entry): Image {
  return {
    id,
    config,
    manifest: record.manifest,
    tags: references
      .filter((reference) => reference.digest === undefined)
      .map(familiarReference)
      .toSorted(compare),
    digests: references
      .filter((reference) => reference.digest !== undefined)
      .map(familiarReference)
      .toSorted(compare),
    sizeBytes: record.layers.reduce((sum, layer) => sum + layer.sizeBytes, 0),
    parent: record.parent,
    lastTaggedAtMs: record.lastTaggedAtMs,
    chainId: chainIds(config.rootfs.diff_ids).at(-1) ?? null,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
