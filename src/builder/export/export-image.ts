import { EngineError } from '../../errors/index.ts';
import type { ComposedImage, Image, ImageForm, Images } from '../../images/index.ts';
import {
  configPlatform,
  familiarReference,
  formatPlatform,
  isSamePlatform,
  parsePlatform,
  parseReference,
  withDefaultTag,
  type Descriptor,
} from '../../spec/index.ts';
import type { Annotation, ImageExport } from '../builder.ts';
import type { KnownBuild } from '../remote-cache/cache-config.ts';
import { imageUrl } from './materials.ts';

/** What a build gave for one platform. */
export interface BuiltImage {
  image: Image;
  statements: ComposedImage['statements'];
  known: KnownBuild;
}

/**
 * Gives what was built its names. When more is asked for than an image of one platform as the store has it, manifests are
 * written: the target of the names is told then.
 * @param exported its names as nameOf() gives them
 * @throws {EngineError} `invalid-parameter` with BuildKit's texts
 */
export async function exportImage(
  images: Images,
  exported: ImageExport,
  built: readonly BuiltImage[],
  signal: AbortSignal,
): Promise<Descriptor | null> {
  const { names, form, annotations = [] } = exported;
  const [only, ...others] = built;
  const isStated = built.some(({ statements }) => statements.length > 0);
  if (
    only !== undefined &&
    others.length === 0 &&
    form === undefined &&
    annotations.length === 0 &&
    !isStated
  ) {
    for (const name of names) {
      const { domain, path, tag = 'latest' } = parseReference(name);
      await images.tag(only.image.id, `${domain}/${path}`, tag);
    }
    return null;
  }
  const complete: ImageForm = { compression: 'gzip', mediaTypes: 'oci', ...form };
  const isIndex = built.length > 1 || isStated;
  check(annotations, { built, isIndex, isOci: complete.mediaTypes === 'oci', isStated });
  const target = await images.compose({
    images: built.map(({ image, statements }) => {
      const platform = configPlatform(image.config);
      const own = annotations.filter(
        ({ platform: wanted }) =>
          wanted === undefined || isSamePlatform(parsePlatform(wanted, platform), platform),
      );
      return {
        id: image.id,
        annotations: ofKind(own, 'manifest'),
        descriptorAnnotations: isIndex ? ofKind(own, 'manifest-descriptor') : {},
        statements,
        names: names.map((name) => imageUrl(name, platform)),
      };
    }),
    form: complete,
    indexAnnotations: ofKind(annotations, 'index'),
    references: names,
    signal,
  });
  const above = ofKind(annotations, isIndex ? 'index-descriptor' : 'manifest-descriptor');
  return Object.keys(above).length === 0 ? target : { ...target, annotations: above };
}

function ofKind(annotations: readonly Annotation[], kind: Annotation['kind']): Record<string, string> {
  const own = annotations.filter((one) => one.kind === kind);
  return Object.fromEntries(own.map(({ key, value }) => [key, value]));
}

function check(
  annotations: readonly Annotation[],
  facts: { built: readonly BuiltImage[]; isIndex: boolean; isOci: boolean; isStated: boolean },
): void {
  const { built, isIndex, isOci, isStated } = facts;
  const refuse = (text: string): never => {
    throw new EngineError('invalid-parameter', text);
  };
  if (isStated && !isOci) refuse('cannot export attestations with "oci-mediatypes=false"');
  for (const { kind, platform } of annotations) {
    if (!isOci && kind !== 'manifest') refuse('cannot export annotations with "oci-mediatypes=false"');
    if (!isIndex && kind.startsWith('index')) {
      refuse('index annotations not supported for single platform export');
    }
    if (platform === undefined) continue;
    const found = built.some(({ image }) => {
      const own = configPlatform(image.config);
      return isSamePlatform(parsePlatform(platform, own), own);
    });
    if (!found) refuse(`invalid annotation: no platform ${platform} found in source`);
  }
}

/** A name for what was built, as it is shown: `app:latest`. @throws {EngineError} `invalid-parameter` */
export function nameOf(text: string): string {
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw new EngineError('invalid-parameter', 'build tag cannot contain a digest');
  }
  return familiarReference(withDefaultTag(reference));
}

/** The platforms of `BuildRequest.platform`: '' for this machine's. */
export function platformsOf(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  return [...new Set(names)];
}

export function platformName({ config }: Image): string {
  return formatPlatform(configPlatform(config));
}
