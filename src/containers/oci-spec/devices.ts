import { lstatSync, readdirSync, realpathSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '../../errors/index.ts';
import type { HostConfig, RuntimeDevice, RuntimeDeviceRule } from '../../spec/index.ts';

/** Linux' dev_t (makedev(3)), within the 53 bits of a number. */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const device = BigInt(rdev);
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

/**
 * Nothing, then null, zero, urandom, random, tty and console; fuse is told apart because runtimes' own additions (ptmx,
 * the pseudo terminals, making any node) once had it.
 */
const defaultRules: readonly RuntimeDeviceRule[] = [
  { allow: false, access: 'rwm' },
  ...[
    [1, 5],
    [1, 3],
    [1, 9],
    [1, 8],
    [5, 0],
    [5, 1],
  ].map(([major, minor]) => ({
    allow: true,
    type: 'c' as const,
    major: major as number,
    minor: minor as number,
    access: 'rwm',
  })),
  { allow: false, type: 'c', major: 10, minor: 229, access: 'rwm' },
];

export interface ContainerDevices {
  devices: RuntimeDevice[];
  rules: RuntimeDeviceRule[];
}

/**
 * Nodes to make in the container's /dev besides the runtime's default ones, and the device cgroup's rules.
 * @throws {EngineError} with Docker's texts for what is no device and for device requests without a driver.
 */
export function containerDevices(
  hostConfig: Pick<HostConfig, 'Privileged' | 'Devices' | 'DeviceCgroupRules' | 'DeviceRequests'>,
): ContainerDevices {
  const devices: RuntimeDevice[] = [];
  const rules: RuntimeDeviceRule[] = [];
  if (hostConfig.Privileged) {
    devices.push(...hostDevices('/dev'));
    rules.push({ allow: true, access: 'rwm' });
    for (const mapping of hostConfig.Devices ?? [])
      if (mapping.PathOnHost !== mapping.PathInContainer)
        devices.push(...mappedDevices(mapping.PathOnHost, mapping.PathInContainer));
  } else {
    rules.push(...defaultRules);
    for (const mapping of hostConfig.Devices ?? []) {
      const mapped = mappedDevices(mapping.PathOnHost, mapping.PathInContainer || mapping.PathOnHost);
      devices.push(...mapped);
      for (const device of mapped) rules.push(allowRule(device, mapping.CgroupPermissions || 'rwm'));
    }
    for (const rule of hostConfig.DeviceCgroupRules ?? []) rules.push(parseDeviceRule(rule));
  }
  refuseDeviceRequests(hostConfig.DeviceRequests ?? []);
  return { devices, rules };
}

function allowRule(device: RuntimeDevice, access: string): RuntimeDeviceRule {
  return {
    allow: true,
    ...(device.type === 'b' || device.type === 'c' ? { type: device.type } : {}),
    ...(device.major === undefined ? {} : { major: device.major }),
    ...(device.minor === undefined ? {} : { minor: device.minor }),
    access,
  };
}

/** `c 42:* rwm`. @throws {EngineError} `invalid-parameter` "invalid device cgroup rule format: 'x'" */
export function parseDeviceRule(rule: string): RuntimeDeviceRule {
  const parts = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(rule);
  if (parts === null)
    throw new EngineError('invalid-parameter', `invalid device cgroup rule format: '${rule}'`);
  const [, type, major, minor, access] = parts as unknown as [
    string,
    'a' | 'b' | 'c',
    string,
    string,
    string,
  ];
  // Absent means any for both runtimes; -1, which Docker writes, is understood by runc alone.
  return {
    allow: true,
    type,
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  };
}

function refuseDeviceRequests(requests: NonNullable<HostConfig['DeviceRequests']>): void {
  const [request] = requests;
  if (request === undefined) return;
  const capabilities = (request.Capabilities ?? []).map((all) => `[${all.join(' ')}]`).join(' ');
  throw new EngineError(
    'internal',
    `could not select device driver ${JSON.stringify(request.Driver ?? '')} with capabilities: [${capabilities}]`,
  );
}

/** One device, or all below a directory. */
function mappedDevices(pathOnHost: string, pathInContainer: string): RuntimeDevice[] {
  let path = pathOnHost;
  let reason = 'not a device node';
  try {
    path = realpathSync(pathOnHost);
    const device = deviceAt(path, pathInContainer);
    if (device !== undefined) return [device];
    if (statSync(path).isDirectory()) {
      const found = devicesBelow(path, pathInContainer);
      if (found.length > 0) return found;
    }
  } catch (error) {
    reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or directory' : String(error);
  }
  throw new EngineError(
    'internal',
    `error gathering device information while adding custom device "${pathOnHost}": ${reason}`,
  );
}

function deviceAt(path: string, pathInContainer: string): RuntimeDevice | undefined {
  return deviceOf(lstatSync(path), pathInContainer);
}

function deviceOf(stat: Stats, pathInContainer: string): RuntimeDevice | undefined {
  const type = stat.isBlockDevice() ? 'b' : stat.isCharacterDevice() ? 'c' : undefined;
  if (type === undefined) return undefined;
  return {
    type,
    path: pathInContainer,
    ...deviceNumbers(stat.rdev),
    fileMode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
  };
}

function devicesBelow(directory: string, inContainer: string): RuntimeDevice[] {
  const devices: RuntimeDevice[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    const target = join(inContainer, entry.name);
    if (entry.isDirectory()) devices.push(...devicesBelow(path, target));
    else if (entry.isBlockDevice() || entry.isCharacterDevice()) {
      const device = deviceAt(path, target);
      if (device !== undefined) devices.push(device);
    }
  }
  return devices;
}

/** What the container has of its own, or the runtime makes. */
const ownDirectories = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev']);

function hostDevices(directory: string): RuntimeDevice[] {
  const devices: RuntimeDevice[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      if (!ownDirectories.has(entry.name)) devices.push(...hostDevices(path));
    } else if (entry.name !== 'console' && (entry.isBlockDevice() || entry.isCharacterDevice())) {
      // A device may be unplugged between the listing and the look.
      const stat = lstatSync(path, { throwIfNoEntry: false });
      const device = stat === undefined ? undefined : deviceOf(stat, path);
      if (device !== undefined) devices.push(device);
    }
  }
  return devices;
}
