import type {
  DeviceMapping,
  DeviceRequest,
  RestartPolicy,
  ThrottleDevice,
  Ulimit,
  WeightDevice,
} from '../../spec/index.ts';
import { parseInteger } from '../flags/flags.ts';
import { cut, keyValues, parseCsv } from './csv.ts';
import { parseSize } from './size.ts';

const ulimits = new Set(
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
    ' ',
  ),
);

/** Go's strconv.ParseInt with base 10. */
function decimal(text: string): number {
  if (!/^[+-]?\d+$/.test(text))
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** `--ulimit nofile=1024:2048`. */
export function parseUlimit(text: string): Ulimit {
  const [name, values] = cut(text, '=');
  if (values === undefined) throw new Error(`invalid ulimit argument: ${text}`);
  if (!ulimits.has(name)) throw new Error(`invalid ulimit type: ${name}`);
  const limits = values.split(':');
  if (limits.length > 2) {
    throw new Error(`too many limit value arguments - ${values}, can only have up to two, \`soft[:hard]\``);
  }
  const hardText = limits[1];
  const givenHard = hardText === undefined ? undefined : decimal(hardText);
  const soft = decimal(limits[0] ?? '');
  const hard = givenHard ?? soft;
  if (hard !== -1) {
    const rule = 'ulimit soft limit must be less than or equal to hard limit';
    if (soft === -1) throw new Error(`${rule}: soft: -1 (unlimited), hard: ${hard}`);
    if (soft > hard) throw new Error(`${rule}: ${soft} > ${hard}`);
  }
  return { Name: name, Soft: soft, Hard: hard };
}

function devicePath(text: string): [string, string] {
  const [path, value] = cut(text, ':');
  if (value === undefined || path === '') throw new Error(`bad format: ${text}`);
  if (!path.startsWith('/dev/')) throw new Error(`bad format for device path: ${text}`);
  return [path, value];
}

/** `--device-read-bps /dev/sda:1mb`. */
export function parseThrottleBps(text: string): ThrottleDevice {
  const [path, value] = devicePath(text);
  try {
    return { Path: path, Rate: parseSize(value) };
  } catch (error) {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
      { cause: error },
    );
  }
}

/** `--device-read-iops /dev/sda:100`. */
export function parseThrottleIops(text: string): ThrottleDevice {
  const [path, value] = devicePath(text);
  if (!/^\d+$/.test(value)) {
    throw new Error(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    );
  }
  return { Path: path, Rate: Number(value) };
}

/** `--blkio-weight-device /dev/sda:200`. */
export function parseWeightDevice(text: string): WeightDevice {
  const [path, value] = devicePath(text);
  const weight = /^\d+$/.test(value) ? Number(value) : NaN;
  if (!(weight === 0 || (weight >= 10 && weight <= 1000)))
    throw new Error(`invalid weight for device: ${text}`);
  return { Path: path, Weight: weight };
}

function isDeviceMode(text: string): boolean {
  return /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;
}

/** `--device /dev/a[:/dev/b][:rwm]`. */
export function parseDevice(text: string): DeviceMapping {
  const parts = text.split(':');
  const [source = '', second, third] = parts;
  if (parts.length > 3 || source === '') throw new Error(`bad format for path: ${text}`);
  let target = source;
  let permissions = 'rwm';
  if (third !== undefined) {
    if (!isDeviceMode(third)) throw new Error(`bad mode specified: ${third}`);
    target = second ?? '';
    permissions = third;
  } else if (second !== undefined) {
    if (isDeviceMode(second)) permissions = second;
    else target = second;
  }
  if (!target.startsWith('/')) throw new Error(`${target} is not an absolute path`);
  return { PathOnHost: source, PathInContainer: target || source, CgroupPermissions: permissions };
}

/** True for a Container Device Interface name, `vendor.com/class=device`. */
export function isCdiDevice(text: string): boolean {
  return /^[A-Za-z][\w.-]*\/[A-Za-z][\w-]*=[\w.:-]+$/.test(text);
}

/** `--device-cgroup-rule 'c 1:3 rwm'`. */
export function parseDeviceRule(text: string): string {
  if (!/^[acb] (\d+|\*):(\d+|\*) [rwm]{1,3}$/.test(text))
    throw new Error(`invalid device cgroup format '${text}'`);
  return text;
}

/** `--restart on-failure:3`. */
export function parseRestartPolicy(text: string): RestartPolicy {
  if (text === '') return { Name: '', MaximumRetryCount: 0 };
  const [name, count] = cut(text, ':');
  if (count !== undefined && name === '')
    throw new Error('invalid restart policy format: no policy provided before colon');
  if (count && !/^[+-]?\d+$/.test(count)) {
    throw new Error('invalid restart policy format: maximum retry count must be an integer');
  }
  return { Name: name as RestartPolicy['Name'], MaximumRetryCount: Number(count || 0) };
}

/** `--gpus all`, `--gpus '"device=0,1",capabilities=utility'`. */
export function parseGpus(text: string): DeviceRequest {
  const request: DeviceRequest = {
    Driver: '',
    Count: 0,
    DeviceIDs: null,
    Capabilities: [['gpu']],
    Options: {},
  };
  const seen = new Set<string>();
  const count = (value: string): number => {
    if (value === 'all') return -1;
    try {
      return parseInteger(value);
    } catch (error) {
      throw new Error(`invalid count (${value}): value must be either "all" or an integer: invalid syntax`, {
        cause: error,
      });
    }
  };
  for (const field of parseCsv(text)) {
    const [key, value] = cut(field, '=');
    if (seen.has(key)) throw new Error(`gpu request key '${key}' can be specified only once`);
    seen.add(key);
    if (value === undefined) {
      seen.add('count');
      request.Count = count(key);
    } else if (key === 'driver') request.Driver = value;
    else if (key === 'count') request.Count = count(value);
    else if (key === 'device') request.DeviceIDs = value.split(',');
    else if (key === 'capabilities') request.Capabilities = [[...value.split(','), 'gpu']];
    else if (key === 'options') request.Options = keyValues(parseCsv(value));
    else throw new Error(`unexpected key '${key}' in '${field}'`);
  }
  if (!seen.has('count') && request.DeviceIDs === null) request.Count = 1;
  return request;
}
