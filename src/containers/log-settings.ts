import type { LogConfig } from '../spec/index.ts';
import { EngineError } from '../errors/index.ts';
import { invalid } from './errors.ts';

export interface LogSettings {
  /** False for driver `none`: nothing is written. */
  written: boolean;
  maxSizeBytes: number;
  /** The current file counted. */
  maxFiles: number;
}

const fileDrivers = ['json-file', 'local'];
const knownOptions = new Set([
  'max-size',
  'max-file',
  'compress',
  'labels',
  'labels-regex',
  'env',
  'env-regex',
  'tag',
  'mode',
  'max-buffer-size',
  'cache-disabled',
  'cache-max-size',
  'cache-max-file',
  'cache-compress',
]);
const units: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 };

/**
 * What a container's log configuration asks for. Logs are rotated unless `max-size` is `-1`: 10 MiB, 3 files.
 * @throws {EngineError} `invalid-parameter` with dockerd's texts
 */
export function logSettings(config: LogConfig): LogSettings {
  if (config.Type === 'none') return { written: false, maxSizeBytes: Infinity, maxFiles: 1 };
  if (!fileDrivers.includes(config.Type)) {
    throw invalid(`error looking up logging plugin ${config.Type}: plugin "${config.Type}" not found`);
  }
  for (const option of Object.keys(config.Config ?? {})) {
    if (!knownOptions.has(option)) throw invalid(`unknown log opt '${option}' for ${config.Type} log driver`);
  }
  const size = config.Config?.['max-size'];
  const files = config.Config?.['max-file'];
  const maxFiles = files === undefined ? 3 : Number(files);
  if (!Number.isInteger(maxFiles) || maxFiles < 1) throw invalid('max-file cannot be less than 1');
  return { written: true, maxSizeBytes: size === undefined ? 10 << 20 : parseSize(size), maxFiles };
}

function parseSize(text: string): number {
  if (text === '-1') return Infinity;
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?$/i.exec(text);
  const unit = units[(match?.[2] ?? '').toLowerCase()];
  if (match === null || unit === undefined) throw invalid(`invalid size: '${text}'`);
  return Math.floor(Number(match[1]) * unit);
}

export function assertReadable(config: LogConfig): void {
  if (config.Type === 'none') {
    throw new EngineError('not-implemented', 'configured logging driver does not support reading', {
      code: 'log-not-readable',
    });
  }
}
