import { readFileSync } from 'node:fs';
import { EngineError, errorMessage } from '../errors/index.ts';
import {
  settings,
  type GivenSettings,
  type Setting,
  type SettingFlag,
  type SettingValue,
} from './settings.ts';

const byKey = new Map<string, Setting>();
for (const setting of settings as readonly Setting[]) {
  if (setting.key !== null) byKey.set(setting.key ?? setting.flag, setting);
}

/**
 * Reads daemon.json with dockerd's keys.
 * @param required A missing file is an error (it was named on the command line), else it is an empty one.
 * @throws {EngineError} `invalid-parameter` with dockerd's text
 */
export function readConfigFile(path: string, required: boolean): GivenSettings {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw failure(path, `open ${path}: ${noSuchFile(error)}`, error);
  }
  if (text.trim() === '') return new Map();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw failure(path, errorMessage(error), error);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw failure(path, 'the file must hold a JSON object');
  }
  const members = flattened(parsed);
  const unknown = Object.keys(members).filter((key) => !byKey.has(key));
  if (unknown.length > 0) {
    throw failure(
      path,
      `the following directives don't match any configuration option: ${unknown.join(', ')}`,
    );
  }
  const given = new Map<SettingFlag, SettingValue>();
  for (const [key, value] of Object.entries(members)) {
    const setting = byKey.get(key) as Setting;
    if (value === null) continue;
    given.set(setting.flag as SettingFlag, convert(path, key, setting, value));
  }
  return given;
}

/** Members of an object that stand for settings of their own: `{"a":{"b":1}}` as `a.b`. */
function flattened(parsed: object): Record<string, unknown> {
  const pairs = Object.entries(parsed).flatMap(([key, value]): [string, unknown][] =>
    byKey.has(key) || typeof value !== 'object' || value === null || Array.isArray(value)
      ? [[key, value]]
      : Object.entries(value).map(([name, item]) => [`${key}.${name}`, item]),
  );
  return Object.fromEntries(pairs);
}

function convert(path: string, key: string, setting: Setting, value: unknown): SettingValue {
  const wrong = (wanted: string): EngineError => failure(path, `${key} must be ${wanted}`);
  switch (setting.kind) {
    case 'flag':
      if (typeof value !== 'boolean') throw wrong('true or false');
      return value;
    case 'list':
      if (!Array.isArray(value)) throw wrong('a list');
      return value.map((item) => (typeof item === 'string' ? item : poolOption(item)));
    case 'json':
      return JSON.stringify(value);
    case 'map':
      if (typeof value !== 'object' || value === null) throw wrong('an object');
      return Object.entries(value).flatMap(([name, item]) => mapEntries(setting, name, item));
    default:
      if (typeof value !== 'string' && typeof value !== 'number') throw wrong('a string');
      return String(value);
  }
}

/** `{"base":"10.0.0.0/8","size":24}` as the flag writes it. */
function poolOption(item: unknown): string {
  return Object.entries(item as Record<string, unknown>)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(',');
}

/** Options of networks are a map for each driver. */
function mapEntries(setting: Setting, name: string, item: unknown): string[] {
  if (setting.flag !== 'default-network-opt' || typeof item !== 'object' || item === null)
    return [`${name}=${mapValue(item)}`];
  return Object.entries(item).map(([key, value]) => `${name}=${key}=${String(value)}`);
}

/** Runtimes (`{"path":…,"runtimeArgs":[…]}`) and ulimits (`{"Soft":…,"Hard":…}`) as the flags write them. */
function mapValue(item: unknown): string {
  if (Array.isArray(item)) return item.map(String).join(',');
  if (typeof item !== 'object' || item === null) return String(item);
  const members = item as Record<string, unknown>;
  if (typeof members['path'] === 'string') {
    const args = members['runtimeArgs'];
    return [members['path'], ...(Array.isArray(args) ? args.map(String) : [])].join(' ');
  }
  const soft = members['Soft'] ?? members['Hard'];
  return `${String(soft)}:${String(members['Hard'] ?? soft)}`;
}

/**
 * Flags and file together. dockerd refuses a setting given in both; we do the same, with its words.
 * @throws {EngineError} `invalid-parameter`
 */
export function mergeSettings(flags: GivenSettings, file: GivenSettings, path: string): GivenSettings {
  const conflicts: string[] = [];
  for (const [flag, fromFile] of file) {
    const fromFlag = flags.get(flag);
    if (fromFlag === undefined) continue;
    const setting = (settings as readonly Setting[]).find((candidate) => candidate.flag === flag);
    // Lists that dockerd adds up rather than refuses do not exist; maps are named by their key.
    conflicts.push(`${setting?.key ?? flag}: (from flag: ${show(fromFlag)}, from file: ${show(fromFile)})`);
  }
  if (conflicts.length > 0) {
    throw failure(
      path,
      `the following directives are specified both as a flag and in the configuration file: ${conflicts.join(', ')}`,
    );
  }
  return new Map([...file, ...flags]);
}

function show(value: SettingValue): string {
  return typeof value === 'object' ? `[${value.join(' ')}]` : String(value);
}

function noSuchFile(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
    ? 'no such file or directory'
    : errorMessage(error);
}

function failure(path: string, reason: string, cause?: unknown): EngineError {
  return new EngineError('invalid-parameter', `unable to configure the daemon with file ${path}: ${reason}`, {
    ...(cause === undefined ? {} : { cause }),
    code: 'bad-config-file',
  });
}
