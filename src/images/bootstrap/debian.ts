import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../../errors/index.ts';
import type { ImageConfig } from '../../spec/index.ts';
import { hostPlatform } from '../../spec/index.ts';
import { defaultPath } from './busybox.ts';
import { programOutput, type RunOptions } from './host-program.ts';

/** Part of mmdebstrap: where the suite has it, merges /usr without the package usrmerge, which brings all of Perl. */
const mergedUsrHooks = '/usr/share/mmdebstrap/hooks/maybe-merged-usr';

/** A minimal Debian of a suite, made by mmdebstrap from the package sources this machine uses. */
export function debianImage(
  suite: string,
  options: RunOptions & { nowMs: number },
): { layer: AsyncIterable<Uint8Array>; config: ImageConfig } {
  if (!/^[a-z][a-z0-9-]*$/.test(suite)) {
    throw new EngineError(
      'invalid-parameter',
      `Cannot bootstrap debian: ${JSON.stringify(suite)} is no suite`,
    );
  }
  if (!existsSync('/usr/bin/mmdebstrap')) {
    throw new EngineError('unavailable', 'Cannot bootstrap debian: the package mmdebstrap is not installed', {
      code: 'no-mmdebstrap',
    });
  }
  const created = new Date(options.nowMs).toISOString();
  return {
    layer: systemTar(suite, options),
    config: {
      ...hostPlatform(),
      created,
      config: { Env: [defaultPath], Cmd: ['bash'] },
      rootfs: { type: 'layers', diff_ids: [] },
      history: [{ created, created_by: `bootstrap debian:${suite}`, comment: 'Made by mmdebstrap' }],
    },
  };
}

async function* systemTar(suite: string, options: RunOptions & { nowMs: number }): AsyncIterable<Uint8Array> {
  // mmdebstrap leaves its working directory behind when it is killed.
  const directory = mkdtempSync(join(tmpdir(), 'debian-'));
  try {
    const sources = debianSources(suite);
    yield* programOutput(
      [
        'mmdebstrap',
        '--variant=minbase',
        '--format=tar',
        '--aptopt=APT::Sandbox::User "root"',
        // This machine's own, which mmdebstrap copies in.
        '--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
        ...(existsSync(mergedUsrHooks) ? [`--hook-dir=${mergedUsrHooks}`] : []),
        suite,
        '-',
        ...sources,
      ],
      { ...options, env: { TMPDIR: directory, SOURCE_DATE_EPOCH: String(Math.floor(options.nowMs / 1000)) } },
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One-line sources for the suite at the mirrors this machine takes Debian from; empty: mmdebstrap's default. */
export function debianSources(suite: string, root = '/etc/apt'): string[] {
  const mirrors = new Set<string>();
  const security = new Set<string>();
  for (const file of sourceFiles(root)) {
    const text = readFileSync(file, 'utf8');
    for (const uri of file.endsWith('.sources') ? deb822Uris(text) : oneLineUris(text)) {
      const plain = uri.replace(/\/+$/, '');
      if (plain.endsWith('/debian-security')) security.add(plain);
      else if (plain.endsWith('/debian')) mirrors.add(plain);
    }
  }
  const [mirror] = mirrors;
  if (mirror === undefined) return [];
  const lines = [`deb ${mirror} ${suite} main`];
  if (suite === 'sid' || suite === 'unstable') return lines;
  lines.push(`deb ${mirror} ${suite}-updates main`);
  const [secure] = security;
  if (secure !== undefined) lines.push(`deb ${secure} ${suite}-security main`);
  return lines;
}

function sourceFiles(root: string): string[] {
  const parts = join(root, 'sources.list.d');
  const names = existsSync(parts) ? readdirSync(parts).toSorted() : [];
  return [join(root, 'sources.list'), ...names.map((name) => join(parts, name))].filter(
    (file) => /\.(list|sources)$/.test(file) && existsSync(file),
  );
}

function deb822Uris(text: string): string[] {
  return [...text.matchAll(/^URIs:[ \t]*(.+)$/gm)].flatMap(([, uris = '']) => uris.trim().split(/\s+/));
}

function oneLineUris(text: string): string[] {
  return [...text.matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)/gm)].map(([, uri = '']) => uri);
}
