import type { ContainerConfig, Healthcheck, HostConfig } from '../spec/index.ts';
import { invalid } from './errors.ts';
import { parseSignal } from './signals.ts';

/** The kernel's __NEW_UTS_LEN. */
const maxHostnameLength = 64;
const minHealthDurationNs = 1_000_000;

/** @throws {EngineError} `invalid-parameter` with dockerd's texts */
export function validateConfig(config: ContainerConfig): void {
  if (config.WorkingDir !== '' && !config.WorkingDir.startsWith('/')) {
    throw invalid(`the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`);
  }
  if ((config.StopSignal ?? '') !== '') parseSignal(config.StopSignal ?? '');
  for (const variable of config.Env ?? []) {
    if (variable === '' || variable.startsWith('='))
      throw invalid(`invalid environment variable: ${variable}`);
  }
  if (config.Hostname.length > maxHostnameLength) {
    throw invalid(`hostname "${config.Hostname}" is too long (maximum ${maxHostnameLength} bytes)`);
  }
  if (config.Healthcheck !== undefined && config.Healthcheck !== null)
    validateHealthcheck(config.Healthcheck);
}

function validateHealthcheck(check: Healthcheck): void {
  for (const key of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    const value = check[key] ?? 0;
    if (value !== 0 && value < minHealthDurationNs) {
      throw invalid(`${key} in Healthcheck cannot be less than 1ms`);
    }
  }
  if ((check.Retries ?? 0) < 0) throw invalid('Retries in Healthcheck cannot be negative');
}

/** @throws {EngineError} `invalid-parameter` with dockerd's texts */
export function validateHostConfig(host: HostConfig): void {
  validateRestartPolicy(host);
  if (host.AutoRemove && host.RestartPolicy.Name !== '' && host.RestartPolicy.Name !== 'no') {
    throw invalid("can't create 'AutoRemove' container with restart policy");
  }
  for (const entry of host.ExtraHosts ?? []) {
    if (!/^[^:=]+[:=].+$/.test(entry)) throw invalid(`bad format for add-host: "${entry}"`);
  }
  if (!/^(private|host|shareable|none|container:.+)?$/.test(host.IpcMode)) {
    throw invalid(`invalid IPC mode: ${host.IpcMode}`);
  }
  if (!/^(private|host|container:.+)?$/.test(host.PidMode))
    throw invalid(`invalid PID mode: ${host.PidMode}`);
  if (!/^(host)?$/.test(host.UTSMode)) throw invalid(`invalid UTS mode: ${host.UTSMode}`);
  if (!/^(private|host)?$/.test(host.CgroupnsMode)) {
    throw invalid(`invalid cgroup namespace mode: ${String(host.CgroupnsMode)}`);
  }
  if (!['', 'default'].includes(host.Isolation)) {
    throw invalid(`invalid isolation '${host.Isolation}' on linux`);
  }
  if (host.ShmSize < 0) throw invalid('SHM size can not be less than 0');
  if (host.OomScoreAdj < -1000 || host.OomScoreAdj > 1000) {
    throw invalid(`Invalid value ${host.OomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  }
  validatePorts(host);
}

export function validateRestartPolicy(host: Pick<HostConfig, 'RestartPolicy'>): void {
  const { Name: name, MaximumRetryCount: count } = host.RestartPolicy;
  switch (name) {
    case 'always':
    case 'unless-stopped':
    case 'no':
    case '':
      if (count < 0) throw invalid('invalid restart policy: maximum retry count cannot be negative');
      if (count !== 0) {
        throw invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'");
      }
      return;
    case 'on-failure':
      if (count < 0) throw invalid('invalid restart policy: maximum retry count cannot be negative');
      return;
    default:
      throw invalid(
        `invalid restart policy: unknown policy '${String(name)}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
      );
  }
}

function validatePorts(host: HostConfig): void {
  for (const [port, bindings] of Object.entries(host.PortBindings ?? {})) {
    const number = Number(port.split('/')[0]);
    if (!Number.isInteger(number) || number < 1 || number > 65535) {
      throw invalid(`invalid port specification: "${port}"`);
    }
    for (const { HostPort: hostPort } of bindings ?? []) {
      if (!/^(\d{1,5}(-\d{1,5})?)?$/.test(hostPort))
        throw invalid(`invalid port specification: "${hostPort}"`);
    }
  }
}

/** What dockerd fills in when it adapts a request to the machine. Returns a new object. */
export function adaptHostConfig(
  host: HostConfig,
  machine: {
    shmSizeBytes: number;
    cgroupVersion: 1 | 2;
    defaultRuntime: string;
    logDriver: string;
    logOptions: Readonly<Record<string, string>>;
  },
): HostConfig {
  const adapted: HostConfig = { ...host, RestartPolicy: { ...host.RestartPolicy } };
  if (adapted.RestartPolicy.Name === '') adapted.RestartPolicy.Name = 'no';
  if (adapted.Memory > 0 && adapted.MemorySwap === 0) adapted.MemorySwap = adapted.Memory * 2;
  if (adapted.ShmSize === 0) adapted.ShmSize = machine.shmSizeBytes;
  if (adapted.IpcMode === '') adapted.IpcMode = 'private';
  if (adapted.CgroupnsMode === '') {
    adapted.CgroupnsMode = machine.cgroupVersion === 2 ? 'private' : 'host';
  }
  adapted.OomKillDisable ??= false;
  if (adapted.Runtime === '') adapted.Runtime = machine.defaultRuntime;
  if (adapted.NetworkMode === '') adapted.NetworkMode = 'default';
  if (adapted.LogConfig.Type === '') {
    adapted.LogConfig = {
      Type: machine.logDriver,
      Config: { ...machine.logOptions, ...adapted.LogConfig.Config },
    };
  }
  return adapted;
}
