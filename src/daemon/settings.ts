/**
 * dockerd's configuration: one table says each setting's flag, its key in the configuration file and its type, so that
 * flags, file, conflicts and help are all read from the same place.
 */
export type SettingKind = 'flag' | 'text' | 'list' | 'map' | 'size' | 'number' | 'json';

export interface Setting {
  /** Long flag without dashes. */
  readonly flag: string;
  readonly short?: string;
  /** Key in daemon.json, `a.b` for a member of an object; the flag's name when absent, null when it has none. */
  readonly key?: string | null;
  readonly kind: SettingKind;
  readonly help: string;
  /** The word for the value in the help. */
  readonly value?: string;
  /** False: accepted so that dockerd's command lines and files work, said in the log, and without effect. */
  readonly effect?: false;
  /** There is no flag for it. */
  readonly isOfFile?: true;
}

export const settings = [
  {
    flag: 'add-runtime',
    key: 'runtimes',
    kind: 'map',
    help: 'Register an additional OCI compatible runtime',
    value: 'runtime',
  },
  { flag: 'bip', kind: 'text', help: 'IPv4 address for the default bridge, with its subnet' },
  { flag: 'bip6', kind: 'text', help: 'IPv6 address for the default bridge, with its subnet' },
  { flag: 'bridge', short: 'b', kind: 'text', help: 'Attach containers to a network bridge' },
  { flag: 'builder', kind: 'json', help: 'Builds: gc, entitlements', isOfFile: true },
  { flag: 'cgroup-parent', kind: 'text', help: 'Set parent cgroup for all containers' },
  {
    flag: 'config-file',
    key: null,
    kind: 'text',
    help: 'Daemon configuration file (default "/etc/coracle/daemon.json")',
  },
  {
    flag: 'data-root',
    kind: 'text',
    help: 'Root directory of persistent state (default "/var/lib/coracle")',
  },
  { flag: 'debug', short: 'D', kind: 'flag', help: 'Enable debug mode' },
  {
    flag: 'default-address-pool',
    key: 'default-address-pools',
    kind: 'list',
    help: 'Default address pools for networks',
    value: 'pool-options',
  },
  {
    flag: 'default-gateway',
    kind: 'text',
    help: 'Default gateway IPv4 address for the default bridge network',
  },
  {
    flag: 'default-gateway-v6',
    kind: 'text',
    help: 'Default gateway IPv6 address for the default bridge network',
  },
  {
    flag: 'default-network-opt',
    key: 'default-network-opts',
    kind: 'map',
    help: 'Default network options: driver=option=value',
    value: 'mapmap',
  },
  { flag: 'default-runtime', kind: 'text', help: 'Default OCI runtime for containers (default "crun")' },
  {
    flag: 'default-shm-size',
    kind: 'size',
    help: 'Default shm size for containers (default 64MiB)',
    value: 'bytes',
  },
  {
    flag: 'default-ulimit',
    key: 'default-ulimits',
    kind: 'map',
    help: 'Default ulimits for containers',
    value: 'ulimit',
  },
  { flag: 'dns', kind: 'list', help: 'DNS server to use' },
  { flag: 'dns-opt', key: 'dns-opts', kind: 'list', help: 'DNS options to use' },
  { flag: 'dns-search', kind: 'list', help: 'DNS search domains to use' },
  {
    flag: 'exec-opt',
    key: 'exec-opts',
    kind: 'list',
    help: 'Runtime execution options: native.cgroupdriver=cgroupfs|systemd',
  },
  {
    flag: 'exec-root',
    kind: 'text',
    help: 'Root directory for execution state files (default "/run/coracle")',
  },
  { flag: 'fixed-cidr', kind: 'text', help: 'IPv4 subnet for the default bridge network' },
  { flag: 'fixed-cidr-v6', kind: 'text', help: 'IPv6 subnet for the default bridge network' },
  { flag: 'group', short: 'G', kind: 'text', help: 'Group for the unix socket (default "docker")' },
  {
    flag: 'host',
    short: 'H',
    key: 'hosts',
    kind: 'list',
    help: 'Daemon socket(s) to listen on: unix://, tcp://, fd://',
  },
  {
    flag: 'http-proxy',
    key: 'proxies.http-proxy',
    kind: 'text',
    help: 'HTTP proxy URL to use for outgoing traffic',
  },
  {
    flag: 'https-proxy',
    key: 'proxies.https-proxy',
    kind: 'text',
    help: 'HTTPS proxy URL to use for outgoing traffic',
  },
  {
    flag: 'icc',
    kind: 'flag',
    help: 'Inter-container communication for the default bridge network (default true)',
  },
  {
    flag: 'image-gc',
    kind: 'map',
    help: 'Remove unused images: keep-bytes, high-water, low-water, unused-for, labels, except-labels, interval',
    value: 'key=value',
  },
  { flag: 'init', kind: 'flag', help: 'Run an init in containers to forward signals and reap processes' },
  {
    flag: 'insecure-registry',
    key: 'insecure-registries',
    kind: 'list',
    help: 'Enable insecure registry communication',
  },
  { flag: 'ip', kind: 'text', help: 'Host IP for port publishing from the default bridge network' },
  { flag: 'ip-masq', kind: 'flag', help: 'IP masquerading for the default bridge network (default true)' },
  { flag: 'ipv6', kind: 'flag', help: 'IPv6 networking for the default bridge network' },
  { flag: 'label', key: 'labels', kind: 'list', help: 'Set key=value labels to the daemon' },
  {
    flag: 'link-environment',
    kind: 'flag',
    help: 'Give linked containers environment variables, as Docker did until 28 (default true)',
  },
  { flag: 'log-driver', kind: 'text', help: 'Default driver for container logs (default "json-file")' },
  { flag: 'log-format', kind: 'text', help: 'Set the logging format ("text"|"json") (default "text")' },
  {
    flag: 'log-level',
    short: 'l',
    kind: 'text',
    help: 'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal") (default "info")',
  },
  { flag: 'log-opt', key: 'log-opts', kind: 'map', help: 'Default log driver options for containers' },
  {
    flag: 'max-archive-entries',
    kind: 'number',
    help: 'Most files in a layer, build context or archive (default 10 million)',
  },
  {
    flag: 'max-archive-ratio',
    kind: 'number',
    help: 'How many times its size an archive may expand to, beyond the first GiB (default 2000)',
  },
  {
    flag: 'max-archive-size',
    kind: 'size',
    help: 'Largest uncompressed size of a layer, build context or archive (default: none)',
    value: 'bytes',
  },
  {
    flag: 'max-download-attempts',
    kind: 'number',
    help: 'Set the max download attempts for each pull (default 5)',
  },
  {
    flag: 'min-api-version',
    kind: 'text',
    help: 'Lowest API version to serve, 1.12 at the least (default $DOCKER_MIN_API_VERSION or 1.24)',
  },
  { flag: 'mtu', kind: 'number', help: 'Set the MTU of the default bridge' },
  { flag: 'no-new-privileges', kind: 'flag', help: 'Set no-new-privileges by default for new containers' },
  {
    flag: 'no-proxy',
    key: 'proxies.no-proxy',
    kind: 'text',
    help: 'Comma-separated list of hosts or IP addresses for which the proxy is skipped',
  },
  { flag: 'pidfile', short: 'p', kind: 'text', help: 'Path to use for daemon PID file' },
  { flag: 'registry-mirror', key: 'registry-mirrors', kind: 'list', help: 'Preferred registry mirror' },
  { flag: 'storage-driver', short: 's', kind: 'text', help: 'Storage driver to use: overlay2 or vfs' },
  { flag: 'tls', kind: 'flag', help: 'Use TLS; implied by --tlsverify' },
  { flag: 'tlscacert', kind: 'text', help: 'Trust certs signed only by this CA' },
  { flag: 'tlscert', kind: 'text', help: 'Path to TLS certificate file' },
  { flag: 'tlskey', kind: 'text', help: 'Path to TLS key file' },
  { flag: 'tlsverify', kind: 'flag', help: 'Use TLS and verify the remote' },
  { flag: 'validate', key: null, kind: 'flag', help: 'Validate daemon configuration and exit' },
  { flag: 'version', short: 'v', key: null, kind: 'flag', help: 'Print version information and quit' },
  { flag: 'help', key: null, kind: 'flag', help: 'Print usage' },

  // Containers always live on without the engine.
  {
    flag: 'live-restore',
    kind: 'flag',
    help: 'Accepted: containers always outlive the daemon',
    effect: false,
  },
  {
    flag: 'userland-proxy',
    kind: 'flag',
    help: 'Lead ports of IPv6 into containers without IPv6, and from ::1, through the engine (default true)',
  },
  { flag: 'experimental', kind: 'flag', help: 'Accepted, no effect', effect: false },
  {
    flag: 'iptables',
    kind: 'flag',
    help: "Let containers' packets pass chains of iptables that drop what is forwarded (default true)",
  },
  {
    flag: 'publish-policy',
    kind: 'text',
    help: 'Who lets packets reach published ports ("engine"|"host-firewall") (default "engine")',
  },
  {
    flag: 'bridge-accept-fwmark',
    kind: 'text',
    help: 'Firewall mark ("0x1" or "0x1/0x3") of packets that bridge networks let pass',
  },
  { flag: 'ip6tables', kind: 'flag', help: 'Accepted, no effect', effect: false },
  { flag: 'ip-forward', kind: 'flag', help: 'Accepted, no effect yet', effect: false },
  { flag: 'storage-opt', key: 'storage-opts', kind: 'list', help: 'Accepted, no effect yet', effect: false },
  {
    flag: 'max-concurrent-downloads',
    kind: 'number',
    help: 'Set the max concurrent downloads (default 3)',
  },
  { flag: 'max-concurrent-uploads', kind: 'number', help: 'Set the max concurrent uploads (default 5)' },
  {
    flag: 'shutdown-timeout',
    kind: 'number',
    help: 'Accepted, no effect: containers are not stopped',
    effect: false,
  },
  { flag: 'init-path', kind: 'text', help: 'Accepted, no effect yet', effect: false },
  { flag: 'feature', key: 'features', kind: 'map', help: 'Accepted, no effect', effect: false },
] as const satisfies readonly Setting[];

export type SettingFlag = (typeof settings)[number]['flag'];

/** A setting's value: list and map entries as they were written, `a=b`. */
export type SettingValue = string | boolean | readonly string[];

/** What was given, by flag name. */
export type GivenSettings = ReadonlyMap<SettingFlag, SettingValue>;

/** The text of `--help`. */
export function helpText(): string {
  const flags = (settings as readonly Setting[]).filter(({ isOfFile }) => isOfFile !== true);
  const rows = flags.map(({ flag, short, kind, help, value }) => {
    const word =
      kind === 'flag' ? '' : ` ${value ?? (kind === 'text' ? 'string' : kind === 'number' ? 'int' : 'list')}`;
    return { left: `${short === undefined ? '      ' : `  -${short}, `}--${flag}${word}`, help };
  });
  const width = Math.max(...rows.map(({ left }) => left.length)) + 3;
  const lines = rows.map(({ left, help }) => `${left.padEnd(width)}${help}`);
  return [
    '',
    'Usage:  coracle daemon [OPTIONS]',
    '',
    'Runs the container engine',
    '',
    'Options:',
    ...lines,
    '',
  ].join('\n');
}
