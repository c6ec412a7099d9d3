import { EngineError } from '../../errors/index.ts';
import type { ImageForm } from '../../images/index.ts';
import { formatReference, parseReference, withDefaultTag, type Reference } from '../../spec/index.ts';

/**
 * What `--cache-to` and `--cache-from` say, with BuildKit's names: `{type: 'registry', ref: 'example.com/x:cache', mode: 'max'}`,
 * `{type: 'local', dest: '/dir'}` (`src` to read), `{type: 'inline'}`.
 */
export type CacheOption = Readonly<Record<string, string>> & { readonly type: string };

/** Where a cache is kept: in a registry, or in a directory with OCI's layout under a name. */
export type CachePlace =
  { kind: 'registry'; reference: Reference } | { kind: 'local'; directory: string; tag: string };

export interface CacheImport {
  place: CachePlace & { digest?: string };
  /** For people. */
  name: string;
}

export interface CacheExport {
  place: CachePlace;
  /** For people. */
  name: string;
  /** All steps, not only those whose files are the image's. */
  isWhole: boolean;
  /** As an image's manifest, which all registries take; else as an index of blobs. */
  isManifest: boolean;
  form: ImageForm;
  /** The build goes on when it fails. */
  ignoresErrors: boolean;
}

/** @param given a name alone is one in a registry @throws {EngineError} `invalid-parameter` with BuildKit's texts */
export function cacheImport(given: string | CacheOption): CacheImport {
  const option: CacheOption = typeof given === 'string' ? { type: 'registry', ref: given } : given;
  const { type } = option;
  if (type === 'local') {
    const { src: directory = '', tag = 'latest', digest } = option;
    if (directory === '') throw invalid('local cache importer requires src');
    const place = { kind: 'local', directory, tag, ...(digest === undefined ? {} : { digest }) } as const;
    return { place, name: directory.startsWith('sent:') ? 'local' : `local:${directory}` };
  }
  if (type !== 'registry') throw invalid(`unknown cache importer: ${type}`);
  const { ref = '' } = option;
  if (ref === '') throw invalid('registry cache importer requires ref');
  // An image's id is one, too.
  return { place: { kind: 'registry', reference: referenceOf(ref) }, name: ref };
}

/** Whether the image is to say by what its steps are found again. */
export function exportsInline(options: readonly CacheOption[] = []): boolean {
  return options.some(({ type }) => type === 'inline');
}

/** Exports to other places than the image itself. @throws {EngineError} `invalid-parameter` with BuildKit's texts */
export function cacheExports(options: readonly CacheOption[] = []): CacheExport[] {
  const seen = new Map<string, CacheExport>();
  for (const option of options) {
    if (option.type === 'inline') continue;
    const entry = cacheExport(option);
    const key = option.type === 'registry' ? (option['ref'] ?? '') : JSON.stringify(option);
    if (seen.has(key)) throw invalid(`duplicate cache exports [${option.type}]`);
    seen.set(key, entry);
  }
  return [...seen.values()];
}

function cacheExport(option: CacheOption): CacheExport {
  const { type, mode = 'min', ref = '', dest = '', tag = 'latest' } = option;
  if (type !== 'local' && type !== 'registry')
    throw invalid(`unknown cache exporter: ${JSON.stringify(type)}`);
  if (type === 'local' && dest === '') throw invalid('local cache exporter requires dest');
  if (type === 'registry' && ref === '') throw invalid('registry cache exporter requires ref');
  if (mode !== 'min' && mode !== 'max') throw invalid(`invalid cache export mode: ${mode}`);
  try {
    const hasOciTypes = truth(option, 'oci-mediatypes') ?? true;
    const isManifest = truth(option, 'image-manifest') ?? hasOciTypes;
    if (isManifest && !hasOciTypes) {
      throw invalid(
        'invalid configuration for remote cache, OCI mediatypes are required for image-manifest cache format',
      );
    }
    return {
      place:
        type === 'local'
          ? { kind: 'local', directory: dest, tag }
          : { kind: 'registry', reference: referenceOf(ref) },
      name: type === 'local' ? `local:${dest}` : ref,
      isWhole: mode === 'max',
      isManifest,
      form: { ...compressionOf(option), mediaTypes: hasOciTypes ? 'oci' : 'docker' },
      ignoresErrors: truth(option, 'ignore-error') ?? false,
    };
  } catch (error) {
    throw invalid(`failed to configure ${type} cache exporter: ${(error as Error).message}`);
  }
}

function compressionOf(option: CacheOption): Omit<ImageForm, 'mediaTypes'> {
  const { compression = 'gzip', 'compression-level': level } = option;
  if (compression !== 'gzip' && compression !== 'zstd' && compression !== 'uncompressed') {
    throw invalid(`unsupported compression type ${compression}`);
  }
  if (level !== undefined && !/^\d{1,2}$/.test(level)) {
    throw invalid(`non-integer value ${level} specified for compression-level`);
  }
  const most = compression === 'zstd' ? 22 : 9;
  const chosen = level === undefined ? {} : { compressionLevel: Math.min(Number(level), most) };
  return { compression, ...chosen, forceCompression: truth(option, 'force-compression') ?? false };
}

/** The truth of Go's strconv.ParseBool; undefined when it is not given. */
function truth(option: CacheOption, name: string): boolean | undefined {
  const text = option[name];
  if (text === undefined) return undefined;
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  throw invalid(
    `failed to parse ${name}: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}

function referenceOf(text: string): Reference {
  try {
    return withDefaultTag(parseReference(text));
  } catch (error) {
    throw new EngineError('invalid-parameter', (error as Error).message, { cause: error });
  }
}

/** For `Images.has()` and the like. */
export function placeName(place: CachePlace): string {
  return place.kind === 'local' ? place.directory : formatReference(place.reference);
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
