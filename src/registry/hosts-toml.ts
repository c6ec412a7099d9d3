import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { EngineError } from '../errors/index.ts';
import { defaultRegistryHost, type Capability, type Host } from './hosts.ts';
import { parseToml, type TomlTable, type TomlValue } from './toml.ts';
import type { TlsProfile } from './transport.ts';

/**
 * containerd's `hosts.toml`: `server` is the registry itself, each `[host."…"]` a place to ask before it.
 * @see containerd docs/hosts.md
 * @throws {EngineError} `invalid-parameter` naming the file
 */
export function parseHostsToml(text: string, domain: string, path: string): Host[] {
  const fail = (why: string): EngineError =>
    new EngineError('invalid-parameter', `Cannot read ${path}: ${why}`, { code: 'bad-hosts-file' });
  let root: TomlTable;
  try {
    root = parseToml(text);
  } catch (error) {
    throw fail(error instanceof Error ? error.message : String(error));
  }
  const named = Object.entries(isTable(root['host']) ? root['host'] : {}).map(([url, table]) => {
    if (!isTable(table)) throw fail(`host ${url} is not a table`);
    return readHost(url, table, path, fail);
  });
  const server = typeof root['server'] === 'string' ? root['server'] : `https://${authorityOf(domain)}`;
  return [...named, { ...readHost(server, root, path, fail), isMirror: false }];
}

function authorityOf(domain: string): string {
  return domain === 'docker.io' ? defaultRegistryHost : domain;
}

function readHost(text: string, table: TomlTable, path: string, fail: (why: string) => EngineError): Host {
  const withScheme = /^[a-z]+:\/\//.test(text) ? text : `https://${text}`;
  const url = URL.parse(withScheme.endsWith('/') ? withScheme : `${withScheme}/`);
  if (url === null || !/^https?:$/.test(url.protocol)) throw fail(`invalid host ${JSON.stringify(text)}`);
  const file = (name: string): string => {
    try {
      return readFileSync(resolve(dirname(path), name), 'utf8');
    } catch (error) {
      throw fail(error instanceof Error ? error.message : String(error));
    }
  };
  const base = table['override_path'] === true || url.pathname.endsWith('/v2/') ? url : new URL('v2/', url);
  const capabilities = table['capabilities'];
  const headers = isTable(table['header']) ? table['header'] : {};
  const ca = texts(table['ca']).map(file);
  const clientCertificates = clients(table['client']).map(([cert, key]) => {
    const text = file(cert);
    return { cert: text, key: key === '' ? text : file(key) };
  });
  const tls: TlsProfile = {
    ...(table['skip_verify'] === true ? { skipVerify: true } : {}),
    ...(ca.length === 0 ? {} : { ca }),
    ...(clientCertificates.length === 0 ? {} : { clientCertificates }),
  };
  return {
    base,
    tls,
    capabilities:
      capabilities === undefined ? ['pull', 'resolve', 'push'] : (texts(capabilities) as Capability[]),
    isMirror: true,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, texts(value).join(', ')]),
    ),
  };
}

function texts(value: TomlValue | undefined): string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.filter((item) => typeof item === 'string');
}

/** `"both.pem"`, `["a.pem", "b.pem"]` or `[["cert.pem", "key.pem"]]` */
function clients(value: TomlValue | undefined): [cert: string, key: string][] {
  const list = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return list.flatMap((item): [string, string][] => {
    if (typeof item === 'string') return [[item, '']];
    const [cert, key = ''] = texts(item);
    return cert === undefined ? [] : [[cert, key]];
  });
}

function isTable(value: TomlValue | undefined): value is TomlTable {
  return typeof value === 'object' && !Array.isArray(value);
}
