import { EngineError, errorMessage } from '../errors/index.ts';
import { isDigest, type ImageConfig } from '../spec/index.ts';

/** A JSON object of unknown members. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

export function badImage(message: string): EngineError {
  return new EngineError('invalid-parameter', message, { code: 'bad-image' });
}

/** Deeper than any document of an image, shallow enough for whatever recurs over it. */
const maxJsonDepth = 100;

/** @throws {EngineError} `invalid-parameter` naming `what` */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  if (jsonDepth(bytes) > maxJsonDepth) {
    throw badImage(`Cannot read ${what}: it is nested more than ${maxJsonDepth} deep`);
  }
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch (error) {
    throw badImage(`Cannot read ${what}: ${errorMessage(error)}`);
  }
}

/** How deep objects and lists are nested, whether or not the rest is JSON. */
function jsonDepth(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let inText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (inText) {
      if (byte === 0x5c) at += 1;
      else if (byte === 0x22) inText = false;
    } else if (byte === 0x22) {
      inText = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      deepest = Math.max(deepest, depth);
    } else if (byte === 0x5d || byte === 0x7d) {
      depth -= 1;
    }
  }
  return deepest;
}

/**
 * Reads an image configuration as far as the engine relies on it; other members are the image's own business.
 * @throws {EngineError} `invalid-parameter`
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const value = parseJson(bytes, 'image configuration');
  if (!isObject(value)) throw badImage('Cannot read image configuration: not an object');
  const rootfs = value['rootfs'];
  if (!isObject(rootfs)) throw badImage('Cannot read image configuration: it has no rootfs');
  const diffIds = rootfs['diff_ids'] ?? [];
  if (!isTextList(diffIds) || !diffIds.every(isDigest)) {
    throw badImage('Cannot read image configuration: rootfs.diff_ids is not a list of digests');
  }
  for (const key of ['architecture', 'os', 'created', 'variant', 'author', 'comment']) {
    if (value[key] !== undefined && value[key] !== null && typeof value[key] !== 'string') {
      throw badImage(`Cannot read image configuration: ${key} is not a string`);
    }
  }
  checkRunConfig(value['config'] ?? {});
  checkHistory(value['history'] ?? []);
  const config = value as unknown as ImageConfig;
  return {
    ...config,
    architecture: config.architecture ?? '',
    os: config.os ?? '',
    rootfs: { type: 'layers', diff_ids: diffIds },
  };
}

function checkRunConfig(config: unknown): void {
  if (!isObject(config)) throw badImage('Cannot read image configuration: config is not an object');
  for (const key of ['Env', 'Cmd', 'Entrypoint', 'OnBuild', 'Shell']) {
    const value = config[key];
    if (value !== undefined && value !== null && !isTextList(value)) {
      throw badImage(`Cannot read image configuration: config.${key} is not a list of strings`);
    }
  }
  for (const key of ['ExposedPorts', 'Volumes', 'Labels', 'Healthcheck']) {
    const value = config[key];
    if (value !== undefined && value !== null && !isObject(value)) {
      throw badImage(`Cannot read image configuration: config.${key} is not an object`);
    }
  }
  const labels = config['Labels'];
  if (isObject(labels) && !Object.values(labels).every((value) => typeof value === 'string')) {
    throw badImage('Cannot read image configuration: config.Labels holds something else than strings');
  }
  for (const key of ['User', 'WorkingDir', 'StopSignal']) {
    const value = config[key];
    if (value !== undefined && value !== null && typeof value !== 'string') {
      throw badImage(`Cannot read image configuration: config.${key} is not a string`);
    }
  }
}

function checkHistory(history: unknown): void {
  if (!Array.isArray(history) || !history.every(isObject)) {
    throw badImage('Cannot read image configuration: history is not a list of objects');
  }
}

/**
 * The bytes of a new configuration. Top-level members are sorted, as Docker writes them, so that the same configuration
 * gives the same id.
 */
export function encodeImageConfig(config: ImageConfig): Buffer {
  const members = Object.entries(config).filter(([, value]) => value !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(JSON.stringify(Object.fromEntries(members)));
}
