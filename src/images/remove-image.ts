import { EngineError, errorMessage } from '../errors/index.ts';
import {
  formatPlatform,
  chainIds,
  familiarReference,
  parseReference,
  repositoryName,
  withDefaultTag,
  type Digest,
  type Platform,
  type Reference,
} from '../spec/index.ts';
import type { ImageStore } from './image-store.ts';
import type { Images, RemovedImage } from './images.ts';
import type { Shared } from './leases.ts';

type RemoveOptions = Parameters<Images['remove']>[1];

interface Conflict {
  /** Not even force removes it. */
  hard: boolean;
  /** A container is the reason. */
  used: boolean;
  message: string;
}

const conflictKinds = ['children', 'running', 'references', 'stopped'] as const;
type ConflictKind = (typeof conflictKinds)[number];
const hardKinds: readonly ConflictKind[] = ['children', 'running'];

/**
 * One `docker rmi`: a reference given is removed first, and the image with its last one; an id given removes the image
 * unless several repositories refer to it. The order of checks and the texts are dockerd's (daemon/images), whose users
 * parse them.
 */
export class ImageRemoval {
  readonly #store: ImageStore;
  readonly #options: RemoveOptions;
  readonly #removed: RemovedImage[] = [];
  readonly #garbage: Shared[] = [];

  constructor(store: ImageStore, options: RemoveOptions) {
    this.#store = store;
    this.#options = options;
  }

  async run(nameOrId: string): Promise<RemovedImage[]> {
    const { platforms = [] } = this.#options;
    try {
      // As one, so that a power cut leaves no image without its names.
      this.#store.catalog.transaction(() => {
        if (platforms.length > 0) this.#removePlatforms(nameOrId, platforms);
        else this.#removeNamed(nameOrId);
      });
    } finally {
      await this.#store.leases.collect(this.#garbage);
    }
    return this.#removed;
  }

  #removeNamed(nameOrId: string): void {
    const { catalog } = this.#store;
    const { force, prune } = this.#options;
    const naming = catalog.naming(nameOrId);
    const id = naming.ids[0] as Digest;
    const references = catalog.references(id);
    if (isIdPrefix(id, nameOrId)) {
      if (inOneRepository(references)) {
        const kinds = force ? hardKinds : conflictKinds.filter((kind) => kind !== 'references');
        for (const member of naming.ids) this.#throwConflict(member, kinds);
        this.#untagAll(id);
      }
      this.#delete(id, { force, prune, quiet: false });
      this.#deleteUnnamed(naming.ids.slice(1));
      return;
    }
    const user = naming.ids.flatMap((member) => this.#options.usedBy(member))[0];
    if (!force && user !== undefined && inOneRepository(references)) {
      throw new EngineError(
        'conflict',
        `conflict: unable to remove repository reference "${nameOrId}" (must force) - ` +
          `container ${short(user.id)} is using its referenced image ${short(id)}`,
        { code: 'image-in-use' },
      );
    }
    const removed = withDefaultTag(parseReference(nameOrId));
    this.#untag(id, removed);
    if (removed.digest === undefined) this.#untagDigestsLeft(id, removed);
    this.#deleteUnnamed(naming.ids);
  }

  #deleteUnnamed(ids: readonly Digest[]): void {
    const { catalog } = this.#store;
    const { force, prune } = this.#options;
    for (const id of ids) {
      if (!catalog.ids().includes(id) || catalog.references(id).length > 0) continue;
      this.#delete(id, { force, prune, quiet: true });
    }
  }

  /** Takes single platforms from an image, out of every index they are in, whatever uses them. */
  #removePlatforms(nameOrId: string, platforms: readonly Platform[]): void {
    const { catalog } = this.#store;
    if (!this.#options.force) {
      throw new EngineError(
        'invalid-parameter',
        'Content will be removed from all images referencing this variant. Use —-force to force delete.',
      );
    }
    const named = catalog.resolve(nameOrId);
    const ids = platforms.map((platform) => {
      try {
        return catalog.resolve(nameOrId, platform);
      } catch (error) {
        const prefix = `failed to delete platform ${formatPlatform(platform)} for image ${named}`;
        throw new EngineError('not-found', `${prefix}: ${errorMessage(error)}`, { cause: error });
      }
    });
    for (const id of new Set(ids)) {
      const manifest = catalog.record(id)?.manifest?.digest;
      for (const reference of catalog.references(id)) this.#unname(id, reference);
      if (manifest !== undefined) this.#removed.push({ kind: 'deleted', reference: manifest });
      this.#erase(id);
    }
  }

  /** Without a tag in a repository, its digest references mean nothing to a user. */
  #untagDigestsLeft(id: Digest, removed: Reference): void {
    const same = this.#store.catalog
      .references(id)
      .filter((reference) => repositoryName(reference) === repositoryName(removed));
    if (same.some((reference) => reference.digest === undefined)) return;
    for (const reference of same) this.#untag(id, reference);
  }

  /** `quiet`: something was removed already, so a conflict that leaves the image as it should be is no error. */
  #delete(id: Digest, how: { force: boolean; prune: boolean; quiet: boolean }): void {
    const { catalog } = this.#store;
    const conflict = this.#conflict(id, how.force ? hardKinds : conflictKinds);
    if (conflict !== undefined) {
      const dangling = catalog.references(id).length === 0 && catalog.children(id).length === 0;
      if (how.quiet && (!dangling || conflict.used)) return;
      throw conflictError(id, conflict);
    }
    const { parent } = catalog.view(id);
    this.#untagAll(id);
    this.#erase(id);
    if (how.prune && parent !== '' && catalog.ids().includes(parent)) {
      this.#delete(parent, { force: false, prune: true, quiet: true });
    }
  }

  /** It has no references left. What containers use of it goes with the last of them. */
  #erase(id: Digest): void {
    const { catalog } = this.#store;
    const { config } = catalog.view(id);
    const garbage = catalog.shared(id);
    const users = this.#options.usedBy(id).map((container) => container.id);
    catalog.transaction(() => {
      const record = catalog.record(id);
      if (record !== undefined && users.length > 0) catalog.put(id, config, { ...record, heldBy: users });
      else catalog.delete(id);
    });
    this.#store.publish('delete', id, id);
    this.#removed.push({ kind: 'deleted', reference: id });
    for (const chainId of chainIds(config.rootfs.diff_ids).toReversed()) {
      if (!catalog.refersTo({ kind: 'layer', digest: chainId })) {
        this.#removed.push({ kind: 'deleted', reference: chainId });
      }
    }
    this.#garbage.push(...garbage);
  }

  /** One platform of several goes alone when its own id is given. */
  #untagAll(id: Digest): void {
    const { catalog } = this.#store;
    const isForemost = catalog.isForemost(id);
    for (const reference of catalog.references(id)) {
      if (isForemost) this.#untag(id, reference);
      else this.#unname(id, reference);
    }
  }

  /** From all platforms that have it. */
  #untag(id: Digest, reference: Reference): void {
    const { catalog } = this.#store;
    catalog.transaction(() => catalog.removeReference(reference));
    this.#untagged(id, reference);
  }

  /** From one platform; the reference is gone with the last. */
  #unname(id: Digest, reference: Reference): void {
    const { catalog } = this.#store;
    catalog.transaction(() => catalog.unname(reference, id));
    if (catalog.named(reference) === undefined) this.#untagged(id, reference);
  }

  #untagged(id: Digest, reference: Reference): void {
    this.#store.publish('untag', id, id);
    this.#removed.push({ kind: 'untagged', reference: familiarReference(reference) });
  }

  #throwConflict(id: Digest, kinds: readonly ConflictKind[]): void {
    const conflict = this.#conflict(id, kinds);
    if (conflict !== undefined) throw conflictError(id, conflict);
  }

  #conflict(id: Digest, kinds: readonly ConflictKind[]): Conflict | undefined {
    const { catalog } = this.#store;
    const users = this.#options.usedBy(id);
    const running = users.find((container) => container.running);
    const stopped = users.find((container) => !container.running);
    const found: Record<ConflictKind, Conflict | undefined> = {
      children:
        catalog.children(id).length > 0
          ? { hard: true, used: false, message: 'image has dependent child images' }
          : undefined,
      running: running && {
        hard: true,
        used: true,
        message: `image is being used by running container ${short(running.id)}`,
      },
      references:
        catalog.references(id).length > 0
          ? { hard: false, used: false, message: 'image is referenced in multiple repositories' }
          : undefined,
      stopped: stopped && {
        hard: false,
        used: true,
        message: `image is being used by stopped container ${short(stopped.id)}`,
      },
    };
    return kinds.map((kind) => found[kind]).find((conflict) => conflict !== undefined);
  }
}

function conflictError(id: Digest, { hard, message }: Conflict): EngineError {
  const how = hard ? 'cannot be forced' : 'must be forced';
  return new EngineError('conflict', `conflict: unable to delete ${short(id)} (${how}) - ${message}`, {
    code: 'image-in-use',
  });
}

/** At most one tag, and nothing outside its repository. */
function inOneRepository(references: readonly Reference[]): boolean {
  const tags = references.filter((reference) => reference.digest === undefined);
  if (references.length <= 1) return true;
  if (tags.length > 1) return false;
  return new Set(references.map(repositoryName)).size === 1;
}

function isIdPrefix(id: Digest, text: string): boolean {
  return id.startsWith(text) || id.startsWith(text, 'sha256:'.length);
}

function short(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}
