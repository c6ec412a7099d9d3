import { EngineError, isEngineError, type ErrorKind } from '../errors/index.ts';
import type { RecordCollection, Records } from '../records/index.ts';
import {
  configPlatform,
  fittingPlatforms,
  isSamePlatform,
  platformNotFound,
  platformRank,
  chainIds,
  familiarReference,
  formatReference,
  parseAnyReference,
  parseReference,
  repositoryName,
  withDefaultTag,
  type DiffId,
  type Digest,
  type ImageConfig,
  type Platform,
  type Reference,
} from '../spec/index.ts';
import type { ImageRecord, LayerRecord, Naming } from './image-record.ts';
import type { Image } from './images.ts';
import type { Shared } from './leases.ts';

/** What trying again later does not mend. */
const lastingKinds: ReadonlySet<ErrorKind> = new Set(['not-found', 'data-loss', 'invalid-parameter']);

interface Entry {
  config: ImageConfig;
  record: ImageRecord;
  references: Reference[];
  view: Image | undefined;
}

/** All images and references in memory, and their records. Changes are made inside transaction(). */
export class ImageCatalog {
  readonly #images: RecordCollection<ImageRecord>;
  /** A digest alone stands for that image. */
  readonly #tags: RecordCollection<Digest | Naming>;
  readonly #records: Records;
  readonly #machine: Platform;
  #entries = new Map<Digest, Entry>();
  /** By canonical reference. */
  #references = new Map<string, Naming>();
  /** How many images refer to a blob or layer. */
  #uses = new Map<string, number>();
  #isChanging = false;

  /** @param machine what runs here, for the choice among several platforms */
  constructor(records: Records, machine: Platform) {
    this.#machine = machine;
    this.#records = records;
    this.#images = records.collection('images');
    this.#tags = records.collection('image-references');
  }

  /**
   * Fills the catalog. An image whose config is not there or not good is forgotten, since nothing can be done with it.
   * @throws {Error} when it cannot be told, because of an I/O error say: nothing is forgotten then
   */
  async open(readConfig: (id: Digest) => Promise<ImageConfig>): Promise<void> {
    for (const [id, record] of this.#images.entries()) {
      const config = await readConfig(id).catch((error: unknown) => {
        if (isEngineError(error) && lastingKinds.has(error.kind)) return undefined;
        throw error;
      });
      if (config === undefined) this.#images.delete(id);
      else this.#insert(id, config, record);
    }
    for (const [text, stored] of this.#tags.entries()) {
      const naming = typeof stored === 'string' ? { ids: [stored] } : stored;
      const ids = naming.ids.filter((id) => this.#entries.has(id));
      if (ids.length === 0) {
        this.#tags.delete(text);
        continue;
      }
      this.#references.set(text, { ...naming, ids });
      for (const id of ids) this.#entry(id).references.push(parseReference(text));
    }
  }

  /** Changes records and memory together, or neither (a full disk, say), and for good; nested calls join. */
  transaction<T>(body: () => T): T {
    if (this.#isChanging) return body();
    const entries = new Map([...this.#entries].map(([id, entry]) => [id, { ...entry }]));
    const references = new Map(this.#references);
    const uses = new Map(this.#uses);
    this.#isChanging = true;
    try {
      const result = this.#records.transaction(body);
      this.#records.checkpoint();
      return result;
    } catch (error) {
      this.#entries = entries;
      this.#references = references;
      this.#uses = uses;
      throw error;
    } finally {
      this.#isChanging = false;
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

  /** Layers of all images, held ones too. */
  diffIds(): Set<DiffId> {
    return new Set([...this.#entries.values()].flatMap(({ config }) => config.rootfs.diff_ids));
  }

  view(id: Digest): Image {
    const entry = this.#entry(id);
    entry.view ??= makeView(id, entry);
    return entry.view;
  }

  record(id: Digest): ImageRecord | undefined {
    return this.#entries.get(id)?.record;
  }

  /**
   * Docker's way: an id, a reference, then an id prefix. Of several platforms the one for this machine, if there is one.
   * @param wanted the platform that it must be of, or with `orRunnable` that it must run on
   * @throws {EngineError} `not-found` "No such image: x", or that it is not there for the platform
   */
  resolve(nameOrId: string, wanted?: Platform, orRunnable = false): Digest {
    const { ids } = this.naming(nameOrId);
    if (wanted === undefined) return ids[0] as Digest;
    const platforms = ids.map((id) => ({ id, platform: configPlatform(this.#entry(id).config) }));
    const found = orRunnable
      ? fittingPlatforms(platforms, wanted)
      : platforms.filter(({ platform }) => isSamePlatform(platform, wanted));
    if (found[0] === undefined) throw platformNotFound(nameOrId, wanted);
    return found[0].id;
  }

  /**
   * As resolve(), with the other platforms: of an id, those of the index that it is the foremost of. The digest of an index or
   * a manifest stands for it, as in Docker's containerd store.
   * @throws {EngineError} `not-found` "No such image: x"
   */
  naming(nameOrId: string): Naming {
    const parsed = parseAnyReference(nameOrId);
    if (parsed.kind === 'digest') {
      if (this.#visible(parsed.digest)) return this.namingOfId(parsed.digest);
      const ids = this.members(parsed.digest);
      if (ids.length > 0) return { ids, index: parsed.digest };
      const alone = this.byManifest(parsed.digest);
      if (alone !== undefined) return { ids: [alone] };
      throw noSuchImage(parsed.digest);
    }
    const wanted = withDefaultTag(parsed.reference);
    const named = this.#references.get(formatReference(lookupForm(wanted)));
    if (named !== undefined) return named;
    const id = this.#byPrefix(nameOrId);
    if (id === undefined) throw noSuchImage(familiarReference(wanted));
    return this.namingOfId(id);
  }

  /** What `docker images` shows under an id. */
  namingOfId(id: Digest): Naming {
    const namings = this.references(id).flatMap((reference) => this.named(reference) ?? []);
    const own = namings.filter(({ ids }) => ids[0] === id);
    const indexes = new Set(own.map(({ index }) => index));
    // Named by its manifest alone somewhere, or by two indexes: which one is meant cannot be told.
    if (own.length > 0) return indexes.size === 1 ? (own[0] as Naming) : { ids: [id] };
    const [index, ...others] = this.record(id)?.indexes ?? [];
    if (namings.length > 0 || index === undefined || others.length > 0) return { ids: [id] };
    return { ids: [id], index: index.digest };
  }

  /** Whether lists show it: all but the platforms that come second under every reference they have. */
  isForemost(id: Digest): boolean {
    const { references } = this.#entry(id);
    return references.length === 0 || references.some((reference) => this.referenced(reference) === id);
  }

  referenced(reference: Reference): Digest | undefined {
    return this.named(reference)?.ids[0];
  }

  named(reference: Reference): Naming | undefined {
    return this.#references.get(formatReference(lookupForm(withDefaultTag(reference))));
  }

  /** The image whose manifest it is. */
  byManifest(digest: Digest): Digest | undefined {
    return this.ids().find((id) => this.record(id)?.manifest?.digest === digest);
  }

  /** References to an image, sorted. */
  references(id: Digest): Reference[] {
    return this.#entry(id).references.toSorted((a, b) => compare(formatReference(a), formatReference(b)));
  }

  /** Every reference of a repository, sorted, with what it names. */
  repository(reference: Reference): { reference: Reference; naming: Naming }[] {
    const name = repositoryName(reference);
    return [...this.#references]
      .map(([text, naming]) => ({ reference: parseReference(text), naming }))
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
    if (record.heldBy === undefined) this.#join(id);
  }

  /** Its references must be gone. */
  delete(id: Digest): void {
    this.#count(id, -1);
    this.#entries.delete(id);
    this.#images.delete(id);
  }

  /** Takes the reference from the images that had it. With `index`: all images of the index get it. */
  setReference(reference: Reference, { ids, index }: Naming, nowMs: number): void {
    this.removeReference(reference);
    const members = index === undefined ? ids : this.members(index, ids);
    this.#name(reference, index === undefined ? { ids: members } : { ids: members, index });
    for (const id of members) {
      const entry = this.#entry(id);
      entry.record = { ...entry.record, lastTaggedAtMs: nowMs };
      this.#images.put(id, entry.record);
    }
  }

  removeReference(reference: Reference): void {
    for (const id of this.#references.get(formatReference(reference))?.ids ?? []) this.unname(reference, id);
  }

  /** Takes the reference from one of the images that have it. */
  unname(reference: Reference, id: Digest): void {
    const text = formatReference(reference);
    const naming = this.#references.get(text);
    if (naming === undefined) return;
    const ids = naming.ids.filter((other) => other !== id);
    if (ids.length > 0) {
      this.#references.set(text, { ...naming, ids });
      this.#tags.put(text, { ...naming, ids });
    } else {
      this.#references.delete(text);
      this.#tags.delete(text);
    }
    const entry = this.#entry(id);
    entry.references = entry.references.filter((other) => formatReference(other) !== text);
    entry.view = undefined;
  }

  /** The images of an index that are here, the one for this machine first. */
  members(index: Digest, also: readonly Digest[] = []): Digest[] {
    const named = this.ids().filter((id) => this.record(id)?.indexes?.some(({ digest }) => digest === index));
    const rank = new Map(
      [...new Set([...also, ...named])].map((id) => {
        const found = platformRank(configPlatform(this.#entry(id).config), this.#machine);
        return [id, found === -1 ? Infinity : found];
      }),
    );
    return [...rank].toSorted(([, a], [, b]) => (a === b ? 0 : a - b)).map(([id]) => id);
  }

  /** An image that came by an index is another platform of whatever stands for that index. */
  #join(id: Digest): void {
    const own = new Set(this.record(id)?.indexes?.map(({ digest }) => digest));
    for (const [text, { ids, index }] of this.#references) {
      if (index === undefined || !own.has(index) || ids.includes(id)) continue;
      this.#name(parseReference(text), { ids: this.members(index, ids), index });
    }
  }

  #name(reference: Reference, naming: Naming): void {
    const text = formatReference(reference);
    const { ids, index } = naming;
    this.#references.set(text, naming);
    this.#tags.put(text, index === undefined && ids.length === 1 ? (ids[0] as Digest) : naming);
    for (const id of ids) {
      const entry = this.#entry(id);
      if (entry.references.every((other) => formatReference(other) !== text)) {
        entry.references = [...entry.references, reference];
      }
      entry.view = undefined;
    }
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
    for (const { digest, kept = [] } of record.indexes ?? []) {
      blobs.push(digest, ...kept.map((one) => one.digest));
    }
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
