import type { UnpackLimits } from '../archive/index.ts';
import type { CacheGcOptions } from '../builder/index.ts';
import type { ImageGcPolicy } from '../images/index.ts';
import type { RegistriesOptions } from '../registry/index.ts';
import type { Ulimit } from '../spec/index.ts';

/** How an engine is opened. Only the roots matter to most programs. */
export interface EngineOptions {
  /** Images, containers, volumes and records: survives reboots. */
  dataRoot?: string;
  /** Sockets, bundles, namespaces: a tmpfs is best. */
  execRoot?: string;
  bridge?: {
    /** Interface name; `none` for no default network. */
    name?: string;
    /** The bridge's own address with its subnet, e.g. `172.17.0.1/16`. */
    bip?: string;
    bip6?: string;
    /** The default network has IPv6: of `bip6`, `fixedCidr6` or the address pools. */
    ipv6?: boolean;
    /** What the default network's containers get addresses from. */
    fixedCidr?: string;
    fixedCidr6?: string;
    /** Where their default route goes instead of to the bridge. */
    defaultGateway?: string;
    defaultGateway6?: string;
    /** Where their ports are published that name no address; default `0.0.0.0`. */
    hostAddress?: string;
    /** False: they do not reach each other. */
    neighbours?: boolean;
    /** False: they appear with their own addresses outside. */
    masquerade?: boolean;
    /** False: iptables' chains are left alone, be it that they drop what containers send and receive. */
    iptables?: boolean;
    /** Who lets packets reach published ports: the engine (the default), or the host's own input chains as well. */
    publishPolicy?: 'engine' | 'host-firewall';
    /** Packets with this firewall mark pass, whatever the networks' rules say. */
    acceptMark?: { value: string; mask: string };
    mtu?: number;
    /** False: published ports of IPv6 lead into containers with IPv6 alone, and not from `::1`. */
    usesProxies?: boolean;
    pools?: readonly { base: string; size: number }[];
    /** Options of new networks that do not say otherwise, by driver. */
    networkOptions?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
  /** Additional OCI runtimes by name. */
  runtimes?: Readonly<Record<string, { path: string; args?: readonly string[] }>>;
  defaultRuntime?: string;
  storageDriver?: 'overlay2' | 'vfs';
  cgroupDriver?: 'cgroupfs' | 'systemd';
  /** Where containers' cgroups go; default `/coracle-<engine>` or `system.slice`. */
  cgroupParent?: string;
  logDriver?: string;
  logOptions?: Readonly<Record<string, string>>;
  defaultUlimits?: readonly Ulimit[];
  defaultShmSizeBytes?: number;
  noNewPrivileges?: boolean;
  /** Name servers, search list and resolver options of containers that name none; default: the host's. */
  dns?: { servers?: readonly string[]; search?: readonly string[]; options?: readonly string[] };
  /** False: `--link` gives no environment variables, as in Docker from version 29 on. Default true. */
  linkEnvironment?: boolean;
  /** How registries are reached: mirrors, insecure ones, certificates, limits. Proxies come from the environment. */
  registries?: RegistriesOptions;
  /** How large layers, image archives, build contexts and archives copied into containers may become. */
  archiveLimits?: UnpackLimits;
  /** Removes unused images on its own, looking for them every `intervalMs`; default: never. */
  imageGc?: ImageGcPolicy & { intervalMs: number };
  /** What is removed from the build cache without being asked; default: as dockerd. */
  buildCacheGc?: CacheGcOptions;
  /** What no build is given, whatever it asks for; default: nothing is refused. */
  refusedEntitlements?: readonly ('network.host' | 'security.insecure')[];
  labels?: readonly string[];
  debug?: boolean;
  /** One line of what the engine does or could not do; default: nothing is written. */
  onLog?: (level: 'debug' | 'info' | 'warning' | 'error', message: string) => void;
}

export const defaults = {
  dataRoot: '/var/lib/coracle',
  execRoot: '/run/coracle',
  bridgeName: 'coracle0',
  shmSizeBytes: 64 * 1024 * 1024,
  stopTimeoutSeconds: 10,
  certificateDirectories: ['/etc/coracle/certs.d', '/etc/docker/certs.d'],
  // Rotated from the start: dockerd's json-file grows without bound unless told otherwise.
  logOptions: { 'max-size': '10m', 'max-file': '3' },
} as const;
