import { EngineError } from '../errors/index.ts';

/** What the `local` driver mounts over `_data`; absent for a plain directory. */
export interface VolumeMount {
  type: string;
  device: string;
  /** mount(8)'s `-o`, as given. */
  options: string;
}

const known = new Set(['type', 'o', 'device', 'size']);
const needed: readonly [string, string][] = [
  ['device', 'type'],
  ['type', 'device'],
  ['o', 'device'],
  ['o', 'type'],
];

/**
 * Checks the `local` driver's options as Docker does.
 * @throws {EngineError} `invalid-parameter`
 */
export function checkVolumeOptions(options: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(options)) if (!known.has(name)) throw invalid(`invalid option: "${name}"`);
  if (options['type'] === 'cifs' && options['device'] !== undefined && cifsHasPort(options['device']))
    throw invalid("port not allowed in CIFS device URL, include 'port' in 'o='");
  if (options['size'] !== undefined) {
    if (!/^\d+(\.\d+)?\s*([kmgtp]i?)?b?$/i.test(options['size']))
      throw invalid(`invalid size: '${options['size']}'`);
    // Project quotas are not there yet; `size` inside `o` works for tmpfs.
    if (Number.parseFloat(options['size']) > 0) throw invalid('quota size requested but no quota support');
  }
  for (const [name, other] of needed)
    if (options[name] !== undefined && options[other] === undefined)
      throw invalid(`missing required option: "${other}"`);
}

function cifsHasPort(device: string): boolean {
  return /^[a-z]*:?\/\/[^/]*:\d+(\/|$)/i.test(device);
}

export function volumeMount(options: Readonly<Record<string, string>> | null): VolumeMount | undefined {
  const { type = '', device = '', o = '' } = options ?? {};
  return type === '' && device === '' ? undefined : { type, device, options: o };
}

/** The host name in `addr=` of a network file system's options, which the kernel wants as an address. */
export function mountHost(mount: VolumeMount): string | undefined {
  if (mount.type !== 'nfs' && mount.type !== 'cifs') return undefined;
  return mount.options
    .split(',')
    .find((option) => option.startsWith('addr='))
    ?.slice('addr='.length);
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
