import { statSync } from 'node:fs';
import { posix } from 'node:path';
import { EngineError } from '../../errors/index.ts';
import type { MountRequest } from '../../spec/index.ts';
import { tmpfsRequestOptions } from './tmpfs-options.ts';

export const defaultPropagation = 'rprivate';
const propagations = new Set(['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared']);
const modeClasses: readonly ReadonlySet<string>[] = [
  new Set(['rw', 'ro']),
  new Set(['z', 'Z']),
  propagations,
  new Set(['nocopy']),
  new Set(['consistent', 'cached', 'delegated', 'default']),
];

/** One mount a user asked for, by `-v` or by `--mount`, checked and put in one form. */
export interface MountSpec {
  type: 'bind' | 'volume' | 'tmpfs' | 'image';
  /** Host path, volume or image name; empty for an anonymous volume and tmpfs. */
  source: string;
  /** Clean and absolute. */
  destination: string;
  /** As written after the second colon of `-v`; empty for `--mount`. */
  mode: string;
  readOnly: boolean;
  /** Undefined when the user did not say. */
  propagation: string | undefined;
  nonRecursive: boolean;
  readOnlyRecursion: 'if-possible' | 'never' | 'force';
  /** A missing host path is made as a directory. */
  createSource: boolean;
  copyUp: boolean;
  volume: {
    driver: string;
    options: Record<string, string>;
    labels: Record<string, string>;
    subpath: string;
  };
  /** For tmpfs, comma-separated. */
  tmpfsOptions: string;
}

/** A mode is a list of words, at most one of each class. */
export function isMountMode(mode: string): boolean {
  if (mode === '') return true;
  const used = new Set<ReadonlySet<string>>();
  for (const word of mode.split(',')) {
    const kind = modeClasses.find((candidate) => candidate.has(word));
    if (kind === undefined || used.has(kind)) return false;
    used.add(kind);
  }
  return true;
}

export function modeAllowsWriting(mode: string): boolean {
  return isMountMode(mode) && !mode.split(',').includes('ro');
}

/**
 * `[host path or volume name:]destination[:mode]`, the grammar of `-v`.
 * @throws {EngineError} with Docker's texts
 */
export function parseBind(text: string, volumeDriver: string): MountSpec {
  const parts = text.split(':');
  const [first = '', second = '', mode = ''] = parts;
  if (first === '' || parts.length > 3 || (parts.length === 2 && isMountMode(second)))
    throw invalid(`invalid volume specification: '${text}'`);
  if (!isMountMode(mode)) throw invalid(`invalid mode: ${mode}`);
  const words = mode.split(',');
  const source = parts.length === 1 ? '' : first;
  const propagation = words.find((word) => propagations.has(word));
  const request: MountRequest = {
    Type: source.startsWith('/') ? 'bind' : 'volume',
    Source: source,
    Target: parts.length === 1 ? first : second,
    ReadOnly: words.includes('ro'),
  };
  let spec: MountSpec;
  try {
    spec = checkedSpec(request, false);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw invalid(`invalid volume specification: '${text}': ${error.message}`);
  }
  return {
    ...spec,
    mode,
    propagation,
    createSource: true,
    copyUp: spec.type === 'volume' && !words.includes('nocopy'),
    volume: { ...spec.volume, driver: volumeDriver },
  };
}

/**
 * The long form, `HostConfig.Mounts`.
 * @throws {EngineError} `invalid-parameter` "invalid mount config for type …"
 */
export function parseMountRequest(request: MountRequest): MountSpec {
  const options = request.BindOptions;
  if (options?.ReadOnlyNonRecursive === true && options.ReadOnlyForceRecursive === true)
    throw invalid('mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive');
  if (request.ReadOnly !== true && options?.ReadOnlyNonRecursive === true)
    throw invalid('mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive');
  if (request.ReadOnly !== true && options?.ReadOnlyForceRecursive === true)
    throw invalid('mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive');
  return checkedSpec(request, true);
}

function checkedSpec(request: MountRequest, sourceMustExist: boolean): MountSpec {
  try {
    checkRequest(request, sourceMustExist);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw invalid(`invalid mount config for type ${JSON.stringify(request.Type)}: ${error.message}`);
  }
  const bind = request.BindOptions;
  const volume = request.VolumeOptions;
  const source = request.Source ?? '';
  return {
    type: request.Type as MountSpec['type'],
    source: request.Type === 'bind' ? posix.normalize(source).replace(/(.)\/$/, '$1') : source,
    destination: cleanDestination(request.Target),
    mode: '',
    readOnly: request.ReadOnly === true,
    propagation: bind?.Propagation || undefined,
    nonRecursive: bind?.NonRecursive === true,
    readOnlyRecursion:
      bind?.ReadOnlyForceRecursive === true
        ? 'force'
        : bind?.ReadOnlyNonRecursive === true
          ? 'never'
          : 'if-possible',
    createSource: bind?.CreateMountpoint === true,
    copyUp: request.Type === 'volume' && volume?.NoCopy !== true,
    volume: {
      driver: volume?.DriverConfig?.Name ?? '',
      options: volume?.DriverConfig?.Options ?? {},
      labels: volume?.Labels ?? {},
      subpath: volume?.Subpath ?? '',
    },
    tmpfsOptions:
      request.Type === 'tmpfs' ? tmpfsRequestOptions(request.TmpfsOptions, request.ReadOnly === true) : '',
  };
}

const optionsOf = [
  ['bind', 'BindOptions'],
  ['volume', 'VolumeOptions'],
  ['image', 'ImageOptions'],
  ['tmpfs', 'TmpfsOptions'],
] as const;

function checkRequest(request: MountRequest, sourceMustExist: boolean): void {
  for (const [type, member] of optionsOf)
    if (request.Type !== type && (request[member] ?? undefined) !== undefined)
      throw invalid(`field ${member} must not be specified`);
  if (!request.Target) throw invalid('field Target must not be empty');
  checkDestination(request.Target);
  const source = request.Source ?? '';
  switch (request.Type) {
    case 'bind':
      if (source === '') throw invalid('field Source must not be empty');
      checkBind(request, source, sourceMustExist);
      return;
    case 'volume':
      checkSubpath(request.VolumeOptions?.Subpath ?? '', source);
      return;
    case 'tmpfs':
      if (source !== '') throw invalid('field Source must not be specified');
      tmpfsRequestOptions(request.TmpfsOptions, request.ReadOnly === true);
      return;
    case 'image':
      if (source === '') throw invalid('field Source must not be empty');
      return;
    default:
      throw invalid('mount type unknown');
  }
}

function checkBind(request: MountRequest, source: string, sourceMustExist: boolean): void {
  const options = request.BindOptions;
  if (options?.Propagation && !propagations.has(options.Propagation))
    throw invalid(`invalid propagation mode: ${options.Propagation}`);
  if (!source.startsWith('/')) throw invalid(`invalid mount path: '${source}' mount path must be absolute`);
  if (!sourceMustExist || options?.CreateMountpoint === true) return;
  if (statSync(source, { throwIfNoEntry: false }) === undefined)
    throw invalid(`bind source path does not exist: ${source}`);
}

function checkSubpath(subpath: string, volume: string): void {
  if (subpath === '') return;
  if (volume === '') throw invalid('must not set Subpath when using anonymous volumes');
  if (subpath.startsWith('/') || posix.normalize(subpath).split('/').includes('..'))
    throw invalid('subpath must be a relative path within the volume');
}

/** @throws {EngineError} `invalid-parameter` for the root and for what is not absolute */
export function checkDestination(path: string): void {
  if (posix.normalize(path) === '/') throw invalid("invalid specification: destination can't be '/'");
  if (!path.startsWith('/')) throw invalid(`invalid mount path: '${path}' mount path must be absolute`);
}

export function cleanDestination(path: string): string {
  return posix.normalize(path).replace(/(.)\/$/, '$1');
}

/** `container[:mode]` of `--volumes-from`. @throws {EngineError} `invalid-parameter` */
export function parseVolumesFrom(text: string): { container: string; readOnly: boolean } {
  if (text === '') throw invalid('volumes-from specification cannot be an empty string');
  const at = text.indexOf(':');
  if (at === -1) return { container: text, readOnly: false };
  const mode = text.slice(at + 1);
  const words = mode.split(',');
  // A container inherits how the mounts propagate, and what was copied before.
  if (!isMountMode(mode) || words.some((word) => propagations.has(word) || word === 'nocopy'))
    throw invalid(`invalid mode: ${mode}`);
  return { container: text.slice(0, at), readOnly: words.includes('ro') };
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
