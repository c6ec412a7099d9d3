import { resolve } from 'node:path';
import type { MountRequest } from '../../spec/index.ts';
import { parseBool } from '../flags/flags.ts';
import { cut, parseCsv } from './csv.ts';
import { parseSize } from './size.ts';

type Draft = { -readonly [K in keyof MountRequest]: MountRequest[K] };

/** Switches of `--mount` that may stand without a value. */
const bare = new Set(['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive']);

function truth(key: string, value: string): boolean {
  try {
    return parseBool(value);
  } catch (error) {
    throw new Error(`invalid value for ${key}: ${value}`, { cause: error });
  }
}

function put(record: Record<string, string>, pair: string): void {
  const [key, value] = cut(pair, '=');
  if (key !== '') record[key] = value ?? '';
}

function setField(mount: Draft, key: string, value: string, field: string): void {
  const bind = (): NonNullable<Draft['BindOptions']> => (mount.BindOptions ??= {});
  const tmpfs = (): NonNullable<Draft['TmpfsOptions']> => (mount.TmpfsOptions ??= {});
  const volume = (): NonNullable<Draft['VolumeOptions']> =>
    (mount.VolumeOptions ??= { Labels: {}, DriverConfig: {} });
  const driver = (): { Name?: string; Options?: Record<string, string> } => (volume().DriverConfig ??= {});
  switch (key) {
    case 'type':
      mount.Type = value.toLowerCase() as MountRequest['Type'];
      return;
    case 'source':
    case 'src':
      mount.Source = value.startsWith('.') ? resolve(value) : value;
      return;
    case 'target':
    case 'dst':
    case 'destination':
      mount.Target = value;
      return;
    case 'readonly':
    case 'ro':
      mount.ReadOnly = truth(key, value);
      return;
    case 'consistency':
      mount.Consistency = value.toLowerCase();
      return;
    case 'bind-propagation':
      bind().Propagation = value.toLowerCase();
      return;
    case 'bind-nonrecursive':
      bind().NonRecursive = truth(key, value);
      return;
    case 'bind-recursive':
      if (value === 'disabled') bind().NonRecursive = true;
      else if (value === 'writable') bind().ReadOnlyNonRecursive = true;
      else if (value === 'readonly') bind().ReadOnlyForceRecursive = true;
      else if (value !== 'enabled') {
        throw new Error(
          `invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
        );
      }
      return;
    case 'volume-subpath':
      volume().Subpath = value;
      return;
    case 'volume-nocopy':
      volume().NoCopy = truth(key, value);
      return;
    case 'volume-label':
      put((volume().Labels ??= {}), value);
      return;
    case 'volume-driver':
      driver().Name = value;
      return;
    case 'volume-opt':
      put((driver().Options ??= {}), value);
      return;
    case 'image-subpath':
      (mount.ImageOptions ??= {}).Subpath = value;
      return;
    case 'tmpfs-size':
      try {
        tmpfs().SizeBytes = parseSize(value);
      } catch (error) {
        throw new Error(`invalid value for ${key}: ${value}`, { cause: error });
      }
      return;
    case 'tmpfs-mode':
      if (!/^[0-7]+$/.test(value)) throw new Error(`invalid value for ${key}: ${value}`);
      tmpfs().Mode = Number.parseInt(value, 8);
      return;
    default:
      throw new Error(`unexpected key '${key}' in '${field}'`);
  }
}

/** `--mount type=bind,src=/a,dst=/b,readonly`. */
export function parseMount(text: string): MountRequest {
  const mount: Draft = { Type: 'volume', Target: '' };
  for (const field of parseCsv(text)) {
    const [name, value] = cut(field, '=');
    const key = name.toLowerCase();
    if (value === undefined && !bare.has(key))
      throw new Error(`invalid field '${field}' must be a key=value pair`);
    setField(mount, key, value ?? 'true', field);
  }
  const type = mount.Type as string;
  if (type === '') throw new Error('type is required');
  if (mount.Target === '') throw new Error('target is required');
  for (const [options, wanted] of [
    [mount.VolumeOptions, 'volume'],
    [mount.ImageOptions, 'image'],
    [mount.BindOptions, 'bind'],
    [mount.TmpfsOptions, 'tmpfs'],
  ] as const) {
    if (options !== undefined && type !== wanted)
      throw new Error(`cannot mix '${wanted}-*' options with mount type '${type}'`);
  }
  if (mount.BindOptions?.ReadOnlyNonRecursive && !mount.ReadOnly) {
    throw new Error("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
  }
  if (mount.BindOptions?.ReadOnlyForceRecursive) {
    if (!mount.ReadOnly)
      throw new Error("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
    if (mount.BindOptions.Propagation !== 'rprivate') {
      throw new Error(
        "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
      );
    }
  }
  return mount;
}

/** What `-v` means: a bind for the host configuration, or an anonymous volume. */
export type VolumeSpec = { kind: 'bind'; bind: string } | { kind: 'anonymous'; target: string };

/** `-v /path`, `-v name:/path[:options]`, `-v ./dir:/path`. */
export function parseVolume(spec: string): VolumeSpec {
  if (spec === '') throw new Error('invalid empty volume spec');
  const parts = spec.split(':');
  if (spec.length > 2) {
    if (parts.includes('')) throw new Error(`invalid spec: ${spec}: empty section between colons`);
    if (parts.length > 3) throw new Error(`invalid spec: ${spec}: too many colons`);
  }
  const source = parts[0] ?? '';
  if (parts.length === 1 || spec.length <= 2) return { kind: 'anonymous', target: spec };
  const rest = spec.slice(source.length);
  return { kind: 'bind', bind: source.startsWith('.') ? resolve(source) + rest : spec };
}
