import { EngineError } from '../errors/index.ts';
import type { ImageConfig, Platform } from './oci-image.ts';

const architectureAliases: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  i386: ['386'],
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};
const architectures = new Set([
  '386',
  'amd64',
  'arm',
  'arm64',
  'loong64',
  'mips64le',
  'ppc64le',
  'riscv64',
  's390x',
]);
const systems = new Set(['linux', 'windows', 'darwin', 'freebsd']);

const componentPattern = '^[A-Za-z0-9_.-]+$';
const systemPattern = '^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.%-]*)\\))?$';

/**
 * Reads `linux/arm64/v8`, `arm64` or `linux`; what is left out is this machine's.
 * @throws {EngineError} `invalid-parameter` in containerd's words
 */
export function parsePlatform(text: string, host: Platform): Platform {
  const quoted = JSON.stringify(text);
  const bad = (why: string): EngineError =>
    new EngineError('invalid-parameter', `${why}: invalid argument`, { code: 'bad-platform' });
  if (text.includes('*')) throw bad(`${quoted}: wildcards not yet supported`);
  const parts = text.split('/');
  for (const [at, part] of parts.entries()) {
    const pattern = at === 0 ? systemPattern : componentPattern;
    if (new RegExp(pattern).test(part)) continue;
    const must = `specifier component must match ${JSON.stringify(pattern)}`;
    throw bad(
      at === 0
        ? `${JSON.stringify(part)} is an invalid OS component of ${quoted}: OSAndVersion ${must}`
        : `${JSON.stringify(part)} is an invalid component of ${quoted}: platform ${must}`,
    );
  }
  const [first = '', second, variant, ...more] = parts.map((part) => part.toLowerCase());
  if (more.length > 0) throw bad(`${quoted}: cannot parse platform specifier`);
  if (second !== undefined) {
    return normalise({ os: first, architecture: second, ...(variant === undefined ? {} : { variant }) });
  }
  if (systems.has(first)) return normalise({ ...host, os: first });
  const candidate = normalise({ os: host.os, architecture: first });
  if (!architectures.has(candidate.architecture)) {
    throw bad(`${quoted}: unknown operating system or architecture`);
  }
  return candidate;
}

/** One way to write each platform: no variant where it is the only one. */
function normalise({ os, architecture, variant }: Platform): Platform {
  const [name, implied] = architectureAliases[architecture] ?? [architecture];
  const given = variant === undefined || variant === '' ? implied : variant;
  let kept = given;
  if (name === 'arm64' && (given === 'v8' || given === '8')) kept = undefined;
  else if (name === 'amd64' && given === 'v1') kept = undefined;
  else if (name === 'arm') kept = given === undefined ? 'v7' : /^\d$/.test(given) ? `v${given}` : given;
  return { os, architecture: name, ...(kept === undefined ? {} : { variant: kept }) };
}

/** `linux/arm64/v8` as the client gave it. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
}

/** What a machine of a platform can run, best first. */
function runnable(wanted: Platform): Platform[] {
  const { os, architecture, variant } = normalise(wanted);
  const level = Number(/^v?(\d+)/.exec(variant ?? '')?.[1] ?? 0);
  const down = (name: string, from: number, to: number): Platform[] => {
    const list: Platform[] = [];
    for (let at = from; at >= to; at -= 1)
      list.push(normalise({ os, architecture: name, variant: `v${at}` }));
    return list;
  };
  if (architecture === 'amd64') return [...down('amd64', Math.max(level, 1), 1), { os, architecture: '386' }];
  if (architecture === 'arm64') return [...down('arm64', Math.max(level, 8), 8), ...down('arm', 8, 5)];
  if (architecture === 'arm') return down('arm', level, 5);
  return [normalise(wanted)];
}

/** Whether an image of this platform runs where `wanted` is asked for: its place in the order, or -1. */
export function platformRank(platform: Platform, wanted: Platform): number {
  const name = formatPlatform(normalise(platform));
  return runnable(wanted).findIndex((candidate) => formatPlatform(candidate) === name);
}

/** The fitting entries, best first; entries that do not say their platform come last. */
export function fittingPlatforms<T extends { platform?: Platform }>(
  entries: readonly T[],
  wanted: Platform,
): T[] {
  return entries
    .map((entry) => ({
      entry,
      rank: entry.platform === undefined ? Number.MAX_SAFE_INTEGER : platformRank(entry.platform, wanted),
    }))
    .filter(({ rank }) => rank >= 0)
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ entry }) => entry);
}

/** Whether an image of this platform is what is asked for, and not only something that runs there. */
export function isSamePlatform(platform: Platform, wanted: Platform): boolean {
  return formatPlatform(normalise(platform)) === formatPlatform(normalise(wanted));
}

/** What an image is for. One that does not say is taken for this machine's, as Docker takes it. */
export function configPlatform(config: ImageConfig): Platform {
  const host = hostPlatform();
  if (config.architecture === '') return { ...host, os: config.os || host.os };
  return {
    architecture: config.architecture,
    os: config.os || host.os,
    ...(config.variant === undefined || config.variant === '' ? {} : { variant: config.variant }),
  };
}

/** Docker's words for a platform that an image does not have, or has not here. */
export function platformNotFound(name: string, wanted: Platform): EngineError {
  return new EngineError(
    'not-found',
    `image with reference ${name} was found but does not provide the specified platform (${formatPlatform(wanted)})`,
    { code: 'platform-not-found' },
  );
}

/** This machine as an image platform: `amd64`, `arm64` with variant `v8`. */
export function hostPlatform(): Platform {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  const architecture = names[process.arch] ?? process.arch;
  return architecture === 'arm64'
    ? { architecture, os: 'linux', variant: 'v8' }
    : { architecture, os: 'linux' };
}
