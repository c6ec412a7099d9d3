import { writeFileSync } from 'node:fs';
import { fullName, parseReference } from '../opts/reference.ts';
import type { BuiltImage, Target } from './outputs.ts';

/** What can be told of a build besides showing it. */
export interface BuildMetadata {
  images: readonly BuiltImage[];
  /** What the last output that is an image became; null without a manifest. */
  target: Target | null;
  names: readonly string[];
  buildId: string;
}

/** As `--iidfile` and `--quiet` tell it: the id of the image; of an index its digest. '' when there are only files of several platforms. */
export function imageId({ images, target }: Pick<BuildMetadata, 'images' | 'target'>): string {
  const [only, ...others] = images;
  return isIndex(target) ? (target?.digest ?? '') : others.length > 0 ? '' : (only?.id ?? '');
}

/** `--metadata-file`, with buildx's names. */
export function writeMetadata(path: string, built: BuildMetadata): void {
  const { target, names, buildId } = built;
  const id = imageId(built);
  const full = names.map((name) => {
    const reference = parseReference(name);
    return reference === null ? name : `${fullName(reference)}:${reference.tag || 'latest'}`;
  });
  const metadata = {
    'buildx.build.ref': `default/default/${buildId}`,
    ...(id === '' || isIndex(target) ? {} : { 'containerimage.config.digest': id }),
    ...(target === null ? {} : { 'containerimage.descriptor': target }),
    ...(id === '' ? {} : { 'containerimage.digest': target?.digest ?? id }),
    ...(full.length === 0 ? {} : { 'image.name': full.join(',') }),
  };
  writeFileSync(path, JSON.stringify(metadata, null, 2), { mode: 0o644 });
}

function isIndex(target: Target | null): boolean {
  return target !== null && /index|manifest\.list/.test(target.mediaType);
}
