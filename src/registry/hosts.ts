import { isInRange } from './no-proxy.ts';
import { readHostDirectory, type CertificateDirectories } from './host-directory.ts';
import type { TlsProfile } from './transport.ts';

const defaultDomain = 'docker.io';
/** Where the default domain's API is served. */
export const defaultRegistryHost = ['registry-1', defaultDomain].join('.');

export type Capability = 'pull' | 'resolve' | 'push';

/** One place that serves a registry's API: the registry itself or a mirror. */
export interface Host {
  /** `https://example.org/v2/`: with its final slash; the paths of the API follow. */
  base: URL;
  tls: TlsProfile;
  capabilities: readonly Capability[];
  isMirror: boolean;
  /** The registry that a mirror is asked for: a mirror may stand for many. */
  namespace?: string;
  headers: Readonly<Record<string, string>>;
}

export interface HostOptions {
  /** `host`, `host:port` or CIDR; loopback always counts. */
  insecureRegistries?: readonly string[];
  /** URLs of mirrors of the default domain. */
  mirrors?: readonly string[];
  /** Directories in the form of `/etc/docker/certs.d`; the first that has a host's directory counts. */
  certificateDirectories?: CertificateDirectories;
}

const everything: readonly Capability[] = ['pull', 'resolve', 'push'];

/** The places to ask for a registry, in order; the registry itself comes last, https before http. */
export function hostsOf(domain: string, options: HostOptions): Host[] {
  const authority = domain === defaultDomain ? defaultRegistryHost : domain;
  const directory = readHostDirectory(domain, options.certificateDirectories ?? []);
  const mirrors =
    domain === defaultDomain ? (options.mirrors ?? []).flatMap((mirror) => mirrorHost(mirror, options)) : [];
  const hosts = directory?.hosts ?? [...mirrors, ...ownHosts(authority, directory?.tls ?? {}, options)];
  return hosts.map((host) =>
    host.isMirror && host.base.host !== authority ? { ...host, namespace: domain } : host,
  );
}

/** Where searches go: the default domain has a host of its own for them. */
export function searchHosts(domain: string, options: HostOptions): Host[] {
  const authority = domain === defaultDomain ? `index.${defaultDomain}` : domain;
  const directory = readHostDirectory(domain, options.certificateDirectories ?? []);
  return ownHosts(authority, directory?.tls ?? {}, options);
}

function mirrorHost(mirror: string, options: HostOptions): Host[] {
  const url = URL.parse(mirror.endsWith('/') ? mirror : `${mirror}/`);
  if (url === null) return [];
  const { tls = {} } = readHostDirectory(url.host, options.certificateDirectories ?? []) ?? {};
  return [
    {
      base: new URL('v2/', url),
      tls: isInsecure(url.host, options.insecureRegistries ?? []) ? { ...tls, skipVerify: true } : tls,
      capabilities: ['pull', 'resolve'],
      isMirror: true,
      headers: {},
    },
  ];
}

function ownHosts(authority: string, tls: TlsProfile, options: HostOptions): Host[] {
  const common = { capabilities: everything, isMirror: false, headers: {} };
  const insecure = isInsecure(authority, options.insecureRegistries ?? []);
  const secure: Host = {
    ...common,
    base: new URL(`https://${authority}/v2/`),
    tls: insecure ? { ...tls, skipVerify: true } : tls,
  };
  if (!insecure) return [secure];
  return [secure, { ...common, base: new URL(`http://${authority}/v2/`), tls: {} }];
}

/** Whether plain HTTP and unknown certificates will do. */
export function isInsecure(authority: string, insecureRegistries: readonly string[]): boolean {
  if (insecureRegistries.includes(authority)) return true;
  const host = URL.parse(`http://${authority}`)?.hostname.replace(/^\[|\]$/g, '') ?? authority;
  const address = host === 'localhost' ? '127.0.0.1' : host;
  return ['127.0.0.0/8', '::1/128', ...insecureRegistries.filter((entry) => entry.includes('/'))].some(
    (range) => isInRange(address, range),
  );
}
