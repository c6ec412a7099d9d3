import { EngineError } from '../../errors/index.ts';
import { createImage } from '../create-image.ts';
import type { ImageStore } from '../image-store.ts';
import type { Image, Images } from '../images.ts';
import { parseTagReference } from '../create-image.ts';
import { busyboxImage } from './busybox.ts';
import { debianImage } from './debian.ts';

/** Makes a base image from what Debian's packages give, on a machine with no registry, and tags it. */
export async function bootstrapImage(
  store: ImageStore,
  name: string,
  options: Parameters<Images['bootstrap']>[1],
): Promise<Image> {
  const { onProgress, signal } = options;
  const run = {
    ...(onProgress === undefined ? {} : { onLine: onProgress }),
    ...(signal === undefined ? {} : { signal }),
  };
  const [, base = '', suite = ''] = /^([^:]+)(?::(.+))?$/.exec(name) ?? [];
  let made;
  let tag;
  if (base === 'busybox' && (suite === '' || suite === 'latest')) {
    made = await busyboxImage(run);
    tag = 'busybox:latest';
  } else if (base === 'debian' && suite !== '') {
    made = debianImage(suite, { ...run, nowMs: store.nowMs() });
    tag = `debian:${suite}`;
  } else {
    throw new EngineError(
      'invalid-parameter',
      `Cannot bootstrap ${name}: there are busybox and debian:<suite>, such as debian:bookworm`,
      { code: 'unknown-base' },
    );
  }
  const id = await createImage(store, {
    parent: null,
    layer: made.layer,
    config: made.config,
    reference: parseTagReference(tag),
    ...(signal === undefined ? {} : { signal }),
  });
  store.publish('tag', id, tag);
  store.publish('import', id, id);
  return store.catalog.view(id);
}
