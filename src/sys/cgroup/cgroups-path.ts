import { EngineError } from '../../errors/index.ts';

/**
 * The OCI `linux.cgroupsPath` of a container: `/<parent>/<id>` for cgroupfs, `<slice>:<prefix>:<id>` for systemd, which
 * makes `<slice>/<prefix>-<id>.scope` of it.
 * @param parent directory such as `/coracle`, or a slice such as `system.slice`.
 * @throws {EngineError} `invalid-parameter` when the driver is systemd and the parent is no slice.
 */
export function containerCgroupsPath(
  driver: 'cgroupfs' | 'systemd',
  options: { parent: string; prefix: string; id: string },
): string {
  const { parent, prefix, id } = options;
  if (driver === 'cgroupfs') return `/${parent.split('/').filter(Boolean).concat(id).join('/')}`;
  if (!parent.endsWith('.slice')) {
    throw new EngineError(
      'invalid-parameter',
      'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"',
    );
  }
  return `${parent}:${prefix}:${id}`;
}

/** Directory of a cgroupsPath below a hierarchy's root, without a leading slash. */
export function cgroupDirectory(cgroupsPath: string): string {
  const parts = cgroupsPath.split(':');
  const [slice, prefix, name] = parts;
  if (slice === undefined || prefix === undefined || name === undefined) {
    const names = cgroupsPath.split('/').filter(Boolean);
    if (names.length === 0 || names.includes('..') || names.includes('.')) {
      throw new EngineError('invalid-parameter', `Cannot use cgroup path ${JSON.stringify(cgroupsPath)}`);
    }
    return names.join('/');
  }
  if (name === '' || parts.length !== 3 || cgroupsPath.includes('/')) {
    throw new EngineError('invalid-parameter', `Cannot use cgroup path ${JSON.stringify(cgroupsPath)}`);
  }
  const scope = name.endsWith('.slice') ? name : `${prefix === '' ? name : `${prefix}-${name}`}.scope`;
  const directory = sliceDirectory(slice);
  return directory === '' ? scope : `${directory}/${scope}`;
}

/** systemd.slice(5): `a-b.slice` lies in `a.slice/a-b.slice`, and `-.slice` is the root. */
export function sliceDirectory(slice: string): string {
  if (slice === '' || slice === '-.slice') return '';
  const base = slice.slice(0, -'.slice'.length);
  const parts = base.split('-');
  if (!slice.endsWith('.slice') || parts.includes('')) {
    throw new EngineError('invalid-parameter', `Cannot use slice ${JSON.stringify(slice)}: not a slice name`);
  }
  return parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`).join('/');
}
