import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '../errors/index.ts';
import type { Host } from './hosts.ts';
import { parseHostsToml } from './hosts-toml.ts';
import type { TlsProfile } from './transport.ts';

export type CertificateDirectories = readonly string[];

/**
 * What a host's directory says: `hosts.toml` (containerd's form) names the places to ask; without it Docker's form: each
 * `*.crt` an authority, each `*.cert` a client certificate with its `*.key`.
 */
export function readHostDirectory(
  domain: string,
  directories: CertificateDirectories,
): { hosts?: Host[]; tls: TlsProfile } | undefined {
  for (const name of [domain, domain.replace(/:(\d+)$/, '_$1_'), '_default']) {
    for (const parent of directories) {
      const directory = join(parent, name);
      const files = listFiles(directory);
      if (files === undefined) continue;
      if (files.includes('hosts.toml')) {
        const path = join(directory, 'hosts.toml');
        return { hosts: parseHostsToml(readFileSync(path, 'utf8'), domain, path), tls: {} };
      }
      if (name === '_default') continue;
      return { tls: dockerForm(directory, files) };
    }
  }
  return undefined;
}

function dockerForm(directory: string, files: readonly string[]): TlsProfile {
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  const clientCertificates: { cert: string; key: string }[] = [];
  for (const name of files.filter((file) => file.endsWith('.cert'))) {
    const key = `${name.slice(0, -'.cert'.length)}.key`;
    if (!files.includes(key)) {
      throw new EngineError(
        'invalid-parameter',
        `missing key ${key} for client certificate ${name}. CA certificates must use the extension .crt`,
      );
    }
    clientCertificates.push({ cert: read(name), key: read(key) });
  }
  const ca = files.filter((file) => file.endsWith('.crt')).map(read);
  return {
    ...(ca.length === 0 ? {} : { ca }),
    ...(clientCertificates.length === 0 ? {} : { clientCertificates }),
  };
}

function listFiles(directory: string): string[] | undefined {
  try {
    return readdirSync(directory).toSorted();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
