import { isDigest, mediaTypes, type Descriptor, type Platform } from '../spec/index.ts';
import { badImage, isObject, parseJson } from './image-config.ts';

const maxLayers = 1000;

/** Reads an image's manifest from outside. @throws {EngineError} `invalid-parameter` */
export function parseManifest(bytes: Uint8Array, name: string): { config: Descriptor; layers: Descriptor[] } {
  const what = `manifest ${name}`;
  const value = parseJson(bytes, what);
  checkKind(value, 'manifest', what);
  const config = isObject(value) ? value['config'] : undefined;
  const layers = list(value, 'layers', what);
  if (layers.length > maxLayers) throw badImage(`Cannot read ${what}: it has more than ${maxLayers} layers`);
  return { config: parseDescriptor(config, what), layers };
}

export function isIndex({ mediaType }: { mediaType: string }): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerIndex;
}

/** Reads an index from outside: the entries that are images. @throws {EngineError} `invalid-parameter` */
export function parseIndexEntries(bytes: Uint8Array, name: string): Descriptor[] {
  return parseAllEntries(bytes, name).filter(
    // A builder puts attestations beside the images.
    ({ annotations }) => annotations?.['vnd.docker.reference.type'] === undefined,
  );
}

/** With the attestations. */
export function parseAllEntries(bytes: Uint8Array, name: string): Descriptor[] {
  const what = `index ${name}`;
  const value = parseJson(bytes, what);
  checkKind(value, 'index', what);
  return list(value, 'manifests', what);
}

const kinds: Readonly<Record<string, 'manifest' | 'index'>> = {
  [mediaTypes.ociManifest]: 'manifest',
  [mediaTypes.dockerManifest]: 'manifest',
  [mediaTypes.ociIndex]: 'index',
  [mediaTypes.dockerIndex]: 'index',
};

/**
 * Refuses a document that another reader could take for the other kind, so that all see the same image (OCI image-spec
 * v1.0.2, CVE-2021-41190). @throws {EngineError} `invalid-parameter`
 */
export function checkKind(value: unknown, kind: 'manifest' | 'index', what: string): void {
  if (!isObject(value)) return;
  const { mediaType } = value;
  const stated = typeof mediaType === 'string' ? kinds[mediaType] : undefined;
  const foreign = kind === 'manifest' ? ['manifests', 'fsLayers'] : ['config', 'layers', 'fsLayers'];
  const found = foreign.find((member) => value[member] !== undefined && value[member] !== null);
  if ((stated ?? kind) === kind && found === undefined) return;
  const why = found === undefined ? `its media type is ${String(mediaType)}` : `it has ${found}`;
  throw badImage(`Cannot read ${what} as ${kind === 'index' ? 'an index' : 'a manifest'}: ${why}`);
}

function list(value: unknown, member: 'manifests' | 'layers', what: string): Descriptor[] {
  const found = isObject(value) ? value[member] : undefined;
  if (!Array.isArray(found)) throw badImage(`Cannot read ${what}: it has no list of ${member}`);
  return (found as unknown[]).map((item) => parseDescriptor(item, what));
}

export function parseDescriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw badImage(`Cannot read ${what}: a descriptor is not an object`);
  const { mediaType, digest, size, platform, annotations } = value;
  if (typeof digest !== 'string' || !isDigest(digest)) {
    throw badImage(`Cannot read ${what}: a descriptor has no sha256 digest`);
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw badImage(`Cannot read ${what}: the size of ${digest} is not a count of bytes`);
  }
  return {
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    digest,
    size,
    ...(isPlatform(platform) ? { platform } : {}),
    ...(isTexts(annotations) ? { annotations } : {}),
  };
}

function isPlatform(value: unknown): value is Platform {
  return isObject(value) && typeof value['os'] === 'string' && typeof value['architecture'] === 'string';
}

function isTexts(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((text) => typeof text === 'string');
}
