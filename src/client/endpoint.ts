import { readFileSync } from 'node:fs';

/** Files of a TLS connection; all optional, as PEM contents. */
export interface TlsMaterial {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
  /** False: accept any server certificate. */
  verify: boolean;
}

export type Address =
  { kind: 'unix'; path: string } | { kind: 'tcp'; host: string; port: number; tls: TlsMaterial | null };

/** Where the engine is, and who said so. */
export interface Endpoint {
  address: Address;
  /** The address as its author wrote it: `unix:///run/coracle/coracle.sock`. */
  url: string;
  source: 'flag' | 'environment' | 'context' | 'default';
  /** Name of the context in use, `default` without one. */
  context: string;
}

export interface EndpointRequest {
  env: Readonly<Record<string, string | undefined>>;
  /** `-H`; wins over everything. */
  host?: string | undefined;
  /** `-c/--context`. */
  context?: string | undefined;
  /** Directory of docker's `config.json`; `DOCKER_CONFIG` or `~/.docker`. */
  configDir: string;
  tls?: { enabled: boolean; verify: boolean; ca?: string; cert?: string; key?: string } | undefined;
}

export const defaultHost = 'unix:///run/coracle/coracle.sock';

/** The directory that holds docker's client configuration. */
export function dockerConfigDir(env: EndpointRequest['env']): string {
  return env['DOCKER_CONFIG'] ?? `${env['HOME'] ?? '/root'}/.docker`;
}

function readJson(path: string): Record<string, unknown> | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch {
    return null;
  }
}

function readOptional(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** The first that is set: `-H`, `--context`, CORACLE_HOST, DOCKER_HOST, DOCKER_CONTEXT, the current context, the default. */
export async function resolveEndpoint(request: EndpointRequest): Promise<Endpoint> {
  const { env } = request;
  const fromFlags = (url: string, source: Endpoint['source']): Endpoint => ({
    address: parseAddress(url, tlsFromEnvironment(request)),
    url,
    source,
    context: 'default',
  });
  if (request.host) return fromFlags(request.host, 'flag');
  if (request.context && request.context !== 'default')
    return fromContext(request.configDir, request.context);
  if (request.context !== 'default') {
    const host = env['CORACLE_HOST'] || env['DOCKER_HOST'];
    if (host) return fromFlags(host, 'environment');
    const named =
      env['DOCKER_CONTEXT'] ||
      (readJson(`${request.configDir}/config.json`)?.['currentContext'] as string | undefined);
    if (named && named !== 'default') return fromContext(request.configDir, named);
  }
  return fromFlags(defaultHost, 'default');
}

function tlsFromEnvironment({ env, tls, configDir }: EndpointRequest): TlsMaterial | null {
  const verify = tls?.verify ?? (env['DOCKER_TLS_VERIFY'] ?? '') !== '';
  if (!verify && !tls?.enabled && !env['DOCKER_TLS']) return null;
  const dir = env['DOCKER_CERT_PATH'] || configDir;
  const material: TlsMaterial = { verify };
  const ca = readOptional(tls?.ca ?? `${dir}/ca.pem`);
  const cert = readOptional(tls?.cert ?? `${dir}/cert.pem`);
  const key = readOptional(tls?.key ?? `${dir}/key.pem`);
  if (ca) material.ca = ca;
  if (cert) material.cert = cert;
  if (key) material.key = key;
  return material;
}

/** Docker keeps contexts under `contexts/meta/<sha256 of the name>/meta.json`, their keys under `contexts/tls`. */
async function fromContext(configDir: string, name: string): Promise<Endpoint> {
  const { createHash } = await import('node:crypto');
  const hash = createHash('sha256').update(name).digest('hex');
  const meta = readJson(`${configDir}/contexts/meta/${hash}/meta.json`);
  if (meta === null) {
    throw new Error(
      `context ${JSON.stringify(name)}: context not found: open ${configDir}/contexts/meta/${hash}/meta.json: no such file or directory`,
    );
  }
  const endpoints = meta['Endpoints'] as
    Record<string, { Host?: string; SkipTLSVerify?: boolean }> | undefined;
  const docker = endpoints?.['docker'];
  const url = docker?.Host || defaultHost;
  const tlsDir = `${configDir}/contexts/tls/${hash}/docker`;
  const ca = readOptional(`${tlsDir}/ca.pem`);
  const cert = readOptional(`${tlsDir}/cert.pem`);
  const key = readOptional(`${tlsDir}/key.pem`);
  const tls: TlsMaterial | null =
    ca || cert || key
      ? {
          verify: docker?.SkipTLSVerify !== true,
          ...(ca && { ca }),
          ...(cert && { cert }),
          ...(key && { key }),
        }
      : null;
  return { address: parseAddress(url, tls), url, source: 'context', context: name };
}

/** @throws for an address of a kind this client does not speak. */
export function parseAddress(url: string, tls: TlsMaterial | null): Address {
  const cut = url.indexOf('://');
  const scheme = cut < 0 ? '' : url.slice(0, cut);
  const rest = cut < 0 ? url : url.slice(cut + 3);
  switch (scheme) {
    case 'unix':
      return { kind: 'unix', path: rest };
    case '':
    case 'tcp':
    case 'http':
    case 'https': {
      const secure = tls ?? (scheme === 'https' ? { verify: true } : null);
      const match = /^(\[[^\]]+\]|[^:/]*)(?::(\d+))?(?:\/.*)?$/.exec(rest);
      if (match === null || (scheme === '' && rest === '')) break;
      const host = match[1]?.replace(/^\[|\]$/g, '') || 'localhost';
      return { kind: 'tcp', host, port: Number(match[2] ?? (secure ? 2376 : 2375)), tls: secure };
    }
    case 'ssh':
      throw new Error(
        `Cannot connect to ${url}: ssh:// addresses are not supported; forward the socket with \`ssh -L\` and use unix://`,
      );
    default:
  }
  throw new Error(
    `Failed to initialize: unable to resolve docker endpoint: invalid bind address format: ${url}`,
  );
}
