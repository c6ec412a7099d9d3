import { EngineError } from '../../errors/index.ts';
import type { MountRequest } from '../../spec/index.ts';

const sizeUnits: readonly [string, number][] = [
  ['g', 2 ** 30],
  ['m', 2 ** 20],
  ['k', 2 ** 10],
];

/** `TmpfsOptions` of a mount request as mount options. @throws {EngineError} `invalid-parameter` */
export function tmpfsRequestOptions(options: MountRequest['TmpfsOptions'] | null, readOnly: boolean): string {
  const words: string[] = readOnly ? ['ro'] : [];
  if (options?.Mode) words.push(`mode=${options.Mode.toString(8)}`);
  const size = options?.SizeBytes;
  if (size) {
    const unit = sizeUnits.find(([, bytes]) => size % bytes === 0);
    words.push(unit === undefined ? `size=${size}` : `size=${size / unit[1]}${unit[0]}`);
  }
  for (const option of options?.Options ?? []) {
    const [name = '', value] = option;
    if (option.length < 1 || option.length > 2) throw invalid('invalid option array length');
    if (name !== 'exec' && name !== 'noexec') throw invalid(`invalid option: ${name}`);
    words.push(value === undefined ? name : `${name}=${value}`);
  }
  return words.join(',');
}

/** Options that exclude each other: the last one counts. */
const groups: readonly (readonly string[])[] = [
  ['ro', 'rw'],
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['exec', 'noexec'],
  ['sync', 'async'],
  ['dirsync'],
  ['remount'],
  ['mand', 'nomand'],
  ['atime', 'noatime'],
  ['diratime', 'nodiratime'],
  ['relatime', 'norelatime'],
  ['strictatime', 'nostrictatime'],
  [
    'bind',
    'rbind',
    'unbindable',
    'runbindable',
    'private',
    'rprivate',
    'shared',
    'rshared',
    'slave',
    'rslave',
  ],
];
const values = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol']);

/**
 * A tmpfs gets nothing that runs, is set-uid or is a device, unless the user says so.
 * @throws {EngineError} `invalid-parameter` for an option that tmpfs does not have
 */
export function tmpfsMountOptions(userOptions: string): string[] {
  const asked = ['noexec', 'nosuid', 'nodev', 'rprivate', ...userOptions.split(',')];
  const taken = new Set<unknown>();
  const merged: string[] = [];
  for (const option of asked.toReversed()) {
    if (option === '' || option === 'defaults') continue;
    const name = option.split('=')[0] as string;
    const group = groups.find((candidate) => candidate.includes(option));
    if (group === undefined && !(values.has(name) && option.includes('=')))
      throw invalid(`invalid tmpfs option ${JSON.stringify(name)}`);
    const key = group ?? name;
    if (taken.has(key)) continue;
    taken.add(key);
    merged.unshift(option);
  }
  return merged;
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
