import { readFileSync } from 'node:fs';
import type { DeviceRequest, MountRequest, ThrottleDevice, Ulimit, WeightDevice } from '../../spec/index.ts';
import type { Parsed } from '../flags/flags.ts';
import { cut, keyValues } from './csv.ts';
import { readKeyValueFile } from './env.ts';
import { isCdiDevice, parseDevice, parseRestartPolicy } from './limits.ts';
import { parseVolume } from './mount.ts';
import { isMac } from './names.ts';
import { endpointsConfig, isUserDefined, type NetworkAttachment } from './network.ts';
import { parseExpose, parsePublish } from './ports.ts';

/** The body of `POST /containers/create`, with the parts that commands look at named. */
export interface CreateBody {
  Image: string;
  Tty: boolean;
  OpenStdin: boolean;
  StdinOnce: boolean;
  AttachStdin: boolean;
  AttachStdout: boolean;
  AttachStderr: boolean;
  HostConfig: Record<string, unknown> & { AutoRemove: boolean; Dns: string[]; ConsoleSize: [number, number] };
  NetworkingConfig: { EndpointsConfig: Record<string, unknown> };
  [field: string]: unknown;
}

/** Keeps the wire small: the engine fills in the default of everything that is left out. */
function nonEmpty<T>(list: T[]): T[] | null {
  return list.length === 0 ? null : list;
}

/** @throws {Error} with docker's text for flags that contradict each other or cannot be understood. */
export function createBody(flags: Parsed, image: string, command: readonly string[]): CreateBody {
  checkMac(flags.text('mac-address'));
  const attach = flags.list('attach');
  const interactive = flags.bool('interactive');
  const attachStdin = attach.includes('stdin') || interactive;
  const attachStdout = attach.length === 0 || attach.includes('stdout');
  const attachStderr = attach.length === 0 || attach.includes('stderr');
  checkSwappiness(flags.int('memory-swappiness'));
  const { binds, volumes } = volumesOf(flags.list('volume'));
  const { exposed, bindings } = parsePublish(flags.list('publish'));
  parseExpose(flags.list('expose'), exposed);
  const env = [
    ...flags.list('env-file').flatMap((file) => readKeyValueFile(file, (name) => process.env[name])),
    ...flags.list('env'),
  ];
  const labels = [
    ...flags.list('label-file').flatMap((file) => readKeyValueFile(file, null)),
    ...flags.list('label'),
  ];
  const hostConfig = hostConfigOf(flags, binds, bindings);
  const networks = [...flags.list<NetworkAttachment>('network'), ...flags.list<NetworkAttachment>('net')];
  const endpoints = endpointsConfig(networks, {
    aliases: [...flags.list('network-alias'), ...flags.list('net-alias')],
    links: flags.list('link'),
    ipv4: flags.text('ip'),
    ipv6: flags.text('ip6'),
    mac: flags.text('mac-address'),
    linkLocal: flags.list('link-local-ip'),
  });
  const mode = networks[0]?.target ?? 'default';
  hostConfig['NetworkMode'] = mode;
  const entrypoint = flags.text('entrypoint');
  const health = healthcheckOf(flags);
  return {
    Hostname: flags.text('hostname'),
    Domainname: flags.text('domainname'),
    User: flags.text('user'),
    AttachStdin: attachStdin,
    AttachStdout: attachStdout,
    AttachStderr: attachStderr,
    ExposedPorts: exposed,
    Tty: flags.bool('tty'),
    OpenStdin: interactive,
    StdinOnce: interactive && attachStdin,
    Env: env,
    Cmd: command.length > 0 ? command : null,
    ...(health && { Healthcheck: health }),
    Image: image,
    Volumes: volumes,
    WorkingDir: flags.text('workdir'),
    Entrypoint: entrypoint !== '' ? [entrypoint] : flags.changed('entrypoint') ? [''] : null,
    ...(flags.text('mac-address') && { MacAddress: flags.text('mac-address') }),
    Labels: keyValues(labels),
    ...(flags.text('stop-signal') && { StopSignal: flags.text('stop-signal') }),
    ...(flags.changed('stop-timeout') && { StopTimeout: flags.int('stop-timeout') }),
    HostConfig: hostConfig,
    NetworkingConfig: { EndpointsConfig: endpoints },
  };
}

function checkMac(mac: string): void {
  if (mac !== '' && !isMac(mac)) throw new Error(`${mac} is not a valid mac address`);
}

function checkSwappiness(value: number): void {
  if (value !== -1 && (value < 0 || value > 100)) {
    throw new Error(`invalid value: ${value}. Valid memory swappiness range is 0-100`);
  }
}

function volumesOf(specs: readonly string[]): { binds: string[]; volumes: Record<string, object> } {
  const binds: string[] = [];
  const volumes: Record<string, object> = {};
  for (const spec of new Set(specs)) {
    const volume = parseVolume(spec);
    if (volume.kind === 'bind') binds.push(volume.bind);
    else volumes[volume.target] = {};
  }
  return { binds, volumes };
}

function checkMode(value: string, valid: (value: string) => boolean, message: string): string {
  if (!valid(value)) throw new Error(message);
  return value;
}

function hostConfigOf(
  flags: Parsed,
  binds: string[],
  bindings: Record<string, unknown>,
): CreateBody['HostConfig'] {
  const restart = parseRestartPolicy(flags.text('restart'));
  const autoRemove = flags.bool('rm');
  const requests = flags.list<DeviceRequest>('gpus');
  const cdi = flags.list('device').filter(isCdiDevice);
  if (cdi.length > 0) requests.push({ Driver: 'cdi', DeviceIDs: cdi });
  const devices = flags
    .list('device')
    .filter((device) => !isCdiDevice(device))
    .map(parseDevice);
  const pid = checkMode(
    flags.text('pid'),
    (mode) => mode === '' || mode === 'host' || /^container:./.test(mode),
    '--pid: invalid PID mode',
  );
  const uts = checkMode(
    flags.text('uts'),
    (mode) => mode === '' || mode === 'host',
    '--uts: invalid UTS mode',
  );
  const userns = checkMode(
    flags.text('userns'),
    (mode) => mode === '' || mode === 'host',
    '--userns: invalid USER mode',
  );
  const cgroupns = checkMode(
    flags.text('cgroupns'),
    (mode) => ['', 'host', 'private'].includes(mode),
    '--cgroupns: invalid CGROUP mode',
  );
  const logOpts = flags.list('log-opt');
  if (flags.text('log-driver') === 'none' && logOpts.length > 0)
    throw new Error('invalid logging opts for driver none');
  const security = securityOf(flags.list('security-opt'));
  const storage = flags.list('storage-opt');
  if (storage.some((option) => !option.includes('='))) throw new Error('invalid storage option');
  if (autoRemove && restart.Name !== 'no' && restart.Name !== '') {
    throw new Error('conflicting options: cannot specify both --restart and --rm');
  }
  const networks = [...flags.list<NetworkAttachment>('network'), ...flags.list<NetworkAttachment>('net')];
  const userDefined = isUserDefined(networks[0]?.target ?? 'default');
  return {
    Binds: nonEmpty(binds),
    ContainerIDFile: flags.text('cidfile'),
    LogConfig: { Type: flags.text('log-driver'), Config: keyValues(logOpts) },
    PortBindings: bindings,
    RestartPolicy: restart,
    AutoRemove: autoRemove,
    VolumeDriver: flags.text('volume-driver'),
    VolumesFrom: nonEmpty(flags.list('volumes-from')),
    ConsoleSize: [0, 0],
    ...(flags.list('annotation').length > 0 && { Annotations: keyValues(flags.list('annotation')) }),
    CapAdd: nonEmpty(capabilities(flags.list('cap-add'))),
    CapDrop: nonEmpty(capabilities(flags.list('cap-drop'))),
    CgroupnsMode: cgroupns,
    Dns: flags.list('dns'),
    DnsOptions: [...flags.list('dns-option'), ...flags.list('dns-opt')],
    DnsSearch: flags.list('dns-search'),
    ExtraHosts: nonEmpty(flags.list('add-host')),
    GroupAdd: nonEmpty(flags.list('group-add')),
    IpcMode: flags.text('ipc'),
    Cgroup: '',
    Links: userDefined ? null : nonEmpty(flags.list('link')),
    OomScoreAdj: flags.int('oom-score-adj'),
    PidMode: pid,
    Privileged: flags.bool('privileged'),
    PublishAllPorts: flags.bool('publish-all'),
    ReadonlyRootfs: flags.bool('read-only'),
    SecurityOpt: nonEmpty(security.options),
    ...(storage.length > 0 && { StorageOpt: keyValues(storage) }),
    ...(flags.list('tmpfs').length > 0 && { Tmpfs: tmpfsOf(flags.list('tmpfs')) }),
    UTSMode: uts,
    UsernsMode: userns,
    ShmSize: flags.int('shm-size'),
    ...(flags.list('sysctl').length > 0 && { Sysctls: keyValues(flags.list('sysctl')) }),
    Runtime: flags.text('runtime'),
    Isolation: flags.text('isolation'),
    ...resourcesOf(flags),
    Devices: devices,
    DeviceRequests: nonEmpty(requests),
    ...(flags.list<MountRequest>('mount').length > 0 && { Mounts: flags.list<MountRequest>('mount') }),
    MaskedPaths: security.unconfinedPaths ? [] : null,
    ReadonlyPaths: security.unconfinedPaths ? [] : null,
    ...(flags.changed('init') && { Init: flags.bool('init') }),
  };
}

/** Capabilities in one spelling, `CAP_NET_ADMIN`, sorted. */
function capabilities(names: readonly string[]): string[] {
  const spelled = names.map((name) => name.trim().toUpperCase());
  return [
    ...new Set(spelled.map((name) => (name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`))),
  ].toSorted();
}

function tmpfsOf(specs: readonly string[]): Record<string, string> {
  const mounts: Record<string, string> = {};
  for (const spec of specs) {
    const [path, options] = cut(spec, ':');
    mounts[path] = options ?? '';
  }
  return mounts;
}

function resourcesOf(flags: Parsed): Record<string, unknown> {
  const byName = new Map(flags.list<Ulimit>('ulimit').map((limit) => [limit.Name, limit]));
  return {
    CpuShares: flags.int('cpu-shares'),
    Memory: flags.int('memory'),
    NanoCpus: flags.int('cpus'),
    CgroupParent: flags.text('cgroup-parent'),
    BlkioWeight: flags.int('blkio-weight'),
    BlkioWeightDevice: flags.list<WeightDevice>('blkio-weight-device'),
    BlkioDeviceReadBps: flags.list<ThrottleDevice>('device-read-bps'),
    BlkioDeviceWriteBps: flags.list<ThrottleDevice>('device-write-bps'),
    BlkioDeviceReadIOps: flags.list<ThrottleDevice>('device-read-iops'),
    BlkioDeviceWriteIOps: flags.list<ThrottleDevice>('device-write-iops'),
    CpuPeriod: flags.int('cpu-period'),
    CpuQuota: flags.int('cpu-quota'),
    CpuRealtimePeriod: flags.int('cpu-rt-period'),
    CpuRealtimeRuntime: flags.int('cpu-rt-runtime'),
    CpusetCpus: flags.text('cpuset-cpus'),
    CpusetMems: flags.text('cpuset-mems'),
    DeviceCgroupRules: nonEmpty(flags.list('device-cgroup-rule')),
    ...(flags.int('kernel-memory') !== 0 && { KernelMemory: flags.int('kernel-memory') }),
    MemoryReservation: flags.int('memory-reservation'),
    MemorySwap: flags.int('memory-swap'),
    MemorySwappiness: flags.int('memory-swappiness'),
    OomKillDisable: flags.bool('oom-kill-disable'),
    PidsLimit: flags.int('pids-limit'),
    Ulimits: [...byName.values()].toSorted((a, b) => (a.Name < b.Name ? -1 : 1)),
  };
}

/** A seccomp profile travels as its contents; `systempaths=unconfined` is ours to turn into empty path lists. */
function securityOf(given: readonly string[]): { options: string[]; unconfinedPaths: boolean } {
  let unconfinedPaths = false;
  const options: string[] = [];
  for (const option of given) {
    let [key, value] = cut(option, '=');
    if (value === undefined && key !== 'no-new-privileges') [key, value] = cut(option, ':');
    if (!value && key !== 'no-new-privileges')
      throw new Error(`Invalid --security-opt: ${JSON.stringify(option)}`);
    if (option === 'systempaths=unconfined') unconfinedPaths = true;
    else if (key === 'seccomp' && value !== 'builtin' && value !== 'unconfined') {
      options.push(`seccomp=${seccompProfile(value ?? '')}`);
    } else options.push(option);
  }
  return { options, unconfinedPaths };
}

function seccompProfile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`opening seccomp profile (${path}) failed: open ${path}: no such file or directory`, {
      cause: error,
    });
  }
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (error) {
    throw new Error(`compacting json for seccomp profile (${path}) failed: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function healthcheckOf(flags: Parsed): Record<string, unknown> | null {
  const command = flags.text('health-cmd');
  const numbers = ['interval', 'timeout', 'retries', 'start-period', 'start-interval'];
  const any = command !== '' || numbers.some((name) => flags.int(`health-${name}`) !== 0);
  if (flags.bool('no-healthcheck')) {
    if (any) throw new Error('--no-healthcheck conflicts with --health-* options');
    return { Test: ['NONE'] };
  }
  if (!any) return null;
  for (const name of numbers)
    if (flags.int(`health-${name}`) < 0) throw new Error(`--health-${name} cannot be negative`);
  return {
    ...(command !== '' && { Test: ['CMD-SHELL', command] }),
    ...Object.fromEntries(
      numbers.map((name) => [apiName(name), flags.int(`health-${name}`)]).filter(([, value]) => value !== 0),
    ),
  };
}

/** `start-period` as `StartPeriod`. */
function apiName(flag: string): string {
  return flag.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
