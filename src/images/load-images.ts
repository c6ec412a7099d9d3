import { decompress } from '../archive/index.ts';
import { familiarReference, type Digest } from '../spec/index.ts';
import { ArchiveFiles } from './archive-files.ts';
import { readDockerArchive, readParents } from './docker-archive.ts';
import { badImage } from './image-config.ts';
import type { ImageStore, PreparedImage } from './image-store.ts';
import type { Images } from './images.ts';
import { isOriginal, readOciLayout } from './oci-layout.ts';

type LoadOptions = Parameters<Images['load']>[1];

/**
 * Loads every image of an archive, or none: nothing is recorded before all layers are unpacked and verified, and what
 * was stored until a failure is removed with the lease.
 */
export async function loadImages(
  store: ImageStore,
  archive: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<{ ids: Digest[]; tags: string[] }> {
  await using lease = store.leases.open();
  await using early = store.layers.early();
  const { signal, platforms = [], onProgress } = options;
  const { archiveLimits: limits } = store;
  const files = await ArchiveFiles.read(decompress(archive, { limits }), {
    content: store.content,
    lease,
    limits,
    early,
    ...(signal === undefined ? {} : { signal }),
  });
  const isLayout = files.has('index.json');
  const isDocker = files.has('manifest.json');
  if (!isLayout && !isDocker) throw badImage('invalid archive: does not contain a manifest.json');
  // What Docker's classic store writes is the same in both forms.
  const preferLayout = isLayout && (!isDocker || platforms.length > 0 || (await isOriginal(files)));
  const found = preferLayout
    ? await readOciLayout(files, store.machine, platforms)
    : await readDockerArchive(files);
  const parents = preferLayout && isDocker ? await readParents(files) : new Map<Digest, string>();
  const prepared: PreparedImage[] = [];
  for (const image of found) prepared.push(await store.prepare(lease, image, { ...options, early }));
  for (const { id, record } of prepared) record.parent = parents.get(id) ?? record.parent;
  linkParents(store, prepared);
  const moved = await store.commit(prepared);
  const shown = prepared.filter(
    ({ index }, at) => index === undefined || prepared.findIndex((other) => other.index === index) === at,
  );
  for (const { id } of shown) store.publish('load', id, id);

  for (const { reference, previous } of moved) {
    const name = familiarReference(reference);
    onProgress?.({
      stream: `The image ${name} already exists, renaming the old one with ID ${previous} to empty string\n`,
    });
  }
  const tags = prepared.flatMap((image) => image.references.map(familiarReference));
  for (const tag of tags) onProgress?.({ stream: `Loaded image: ${tag}\n` });
  if (tags.length === 0) {
    const lines = shown.map(({ id }) => `Loaded image ID: ${id}\n`);
    if (lines.length > 0) onProgress?.({ stream: lines.join('') });
  }
  return { ids: prepared.map((image) => image.id), tags };
}

/** A parent counts when it is here and its layers are the child's lower ones. */
function linkParents(store: ImageStore, prepared: readonly PreparedImage[]): void {
  const here = new Map(prepared.map((image) => [image.id, image.config]));
  for (const image of prepared) {
    const { parent } = image.record;
    if (parent === '') continue;
    const known =
      here.get(parent) ?? (store.catalog.ids().includes(parent) ? store.catalog.view(parent).config : null);
    const below = known?.rootfs.diff_ids;
    const fits = below?.every((diffId, index) => image.config.rootfs.diff_ids[index] === diffId) ?? false;
    if (!fits || parent === image.id) image.record.parent = '';
  }
}
