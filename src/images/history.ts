import { familiarReference, type Digest } from '../spec/index.ts';
import type { ImageCatalog } from './catalog.ts';
import type { Images } from './images.ts';

/** `docker history`: newest first; ids and tags only where images of this engine made the steps. */
export function imageHistory(catalog: ImageCatalog, id: Digest): ReturnType<Images['history']> {
  const { config } = catalog.view(id);
  const layers = catalog.record(id)?.layers ?? [];
  let layer = 0;
  const steps = (config.history ?? []).map((entry) => ({
    id: '<missing>',
    created: Math.floor(Date.parse(entry.created ?? '') / 1000) || 0,
    createdBy: entry.created_by ?? '',
    tags: [] as string[],
    sizeBytes: entry.empty_layer === true ? 0 : (layers[layer++]?.sizeBytes ?? 0),
    comment: entry.comment ?? '',
  }));
  steps.reverse();
  let at = id;
  for (const step of steps) {
    step.id = at;
    step.tags = catalog
      .references(at)
      .filter((reference) => reference.digest === undefined)
      .map(familiarReference);
    at = catalog.view(at).parent;
    if (at === '' || !catalog.ids().includes(at)) break;
  }
  return steps;
}
