import type { Cli } from '../cli.ts';
import type { Parsed } from '../flags/flags.ts';
import { annotationAttributes, provenanceAttributes } from './attach.ts';
import { isImage, isOn, keepsImage, namesOf, sentOutput, type Output } from './outputs.ts';

/** What is to become of a build. */
export interface Asked {
  outputs: readonly Output[];
  tags: readonly string[];
  platforms: readonly string[];
}

/** `--platform`, else what the environment says. */
export function platformsOf(cli: Cli, flags: Parsed): string[] {
  const given = flags.list('platform');
  const fallback = cli.env['DOCKER_DEFAULT_PLATFORM'] ?? '';
  return (given.length > 0 || fallback === '' ? given : [fallback]).flatMap((value) => value.split(','));
}

/** Parameters of a request. */
export type Query = Record<string, string | number | readonly string[] | undefined>;

/** What our engine is asked for besides what Docker's own protocol has a word for. */
export function ownQuery(flags: Parsed, { outputs, tags, platforms }: Asked): Query {
  const annotations = annotationAttributes(flags.list('annotation'));
  const provenance = provenanceAttributes({
    attest: flags.list('attest'),
    provenance: flags.text('provenance'),
    sbom: flags.text('sbom'),
  });
  const image: Output = { type: 'image', dest: '', attributes: new Map() };
  const made = outputs.length === 0 ? [image] : outputs.filter(isImage);
  const sent = made.map((output) => sentOutput(output, namesOf(output, tags), annotations));
  const isFiles = outputs.some(({ type }) => type === 'local' || type === 'tar');
  if (provenance !== undefined && isFiles && !provenance.includes('inline-only=true')) {
    throw new Error('provenance is stated of images here, not beside files: add inline-only=true');
  }
  const isSeveral = platforms.length > 1 || provenance !== undefined;
  if (isSeveral && outputs.some(({ type, dest }) => type === 'docker' && dest !== '')) {
    throw new Error(
      'docker exporter does not support exporting manifest lists, use the oci exporter instead',
    );
  }
  const rewrites = outputs.some((output) => isOn(output, 'rewrite-timestamp'));
  return {
    outputs: sent.length === 0 ? undefined : JSON.stringify(sent),
    platform: platforms.length === 0 ? undefined : platforms.join(','),
    allow: flags.list('allow'),
    provenance,
    rewritetimestamp: rewrites ? 1 : undefined,
    nocachefilter: flags.list('no-cache-filter').flatMap((value) => value.split(',')),
  };
}

/** For another engine. @throws {Error} for what it has no word for */
export function classicQuery(flags: Parsed, { outputs, tags, platforms }: Asked): Query {
  const lists = ['no-cache-filter', 'cache-to', 'annotation', 'attest', 'allow', 'ssh', 'secret'];
  const texts = ['provenance', 'sbom'];
  const lost =
    lists.find((name) => flags.list(name).length > 0) ?? texts.find((name) => flags.text(name) !== '');
  const isAsked = flags.bool('check') || flags.text('call') !== 'build';
  const isPushed = outputs.some((output) => output.type === 'registry' || isOn(output, 'push'));
  const unknown = lost ?? (isAsked ? 'call' : isPushed ? 'push' : undefined);
  if (unknown !== undefined) throw new Error(`--${unknown} is not known to the engine there`);
  if (platforms.length > 1) {
    throw new Error('Multi-platform build is not supported by the engine there');
  }
  return { t: outputs.length === 0 || outputs.some(keepsImage) ? tags : [], platform: platforms[0] };
}

/** Build arguments as JSON; SOURCE_DATE_EPOCH of the environment is one. */
export function buildArgs(cli: Cli, flags: Parsed): string | undefined {
  const args: Record<string, string | null> = {};
  const epoch = cli.env['SOURCE_DATE_EPOCH'];
  if (epoch !== undefined && epoch !== '') args['SOURCE_DATE_EPOCH'] = epoch;
  for (const entry of flags.list('build-arg')) {
    const equals = entry.indexOf('=');
    if (equals === -1) args[entry] = null;
    else args[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  return Object.keys(args).length === 0 ? undefined : JSON.stringify(args);
}

/** What both have a word for. */
export function query(flags: Parsed): Query {
  const number = (name: string): number | undefined => flags.value<number>(name) || undefined;
  const given = (name: string): string | undefined => flags.text(name) || undefined;
  const flag = (name: string): 1 | undefined => (flags.bool(name) ? 1 : undefined);
  const pairs = (name: string): [string, string | null][] =>
    flags.list(name).map((entry) => {
      const equals = entry.indexOf('=');
      return equals === -1 ? [entry, null] : [entry.slice(0, equals), entry.slice(equals + 1)];
    });
  const labels = pairs('label').map(([name, value]) => [name, value ?? '']);
  const ulimits = flags.list<unknown>('ulimit');
  return {
    extrahosts: flags.list('add-host'),
    nocache: flag('no-cache'),
    squash: flag('squash'),
    pull: flag('pull'),
    rm: flags.bool('rm') ? 1 : 0,
    forcerm: flag('force-rm'),
    memory: number('memory'),
    memswap: number('memory-swap'),
    cpushares: number('cpu-shares'),
    cpuperiod: number('cpu-period'),
    cpuquota: number('cpu-quota'),
    cpusetcpus: given('cpuset-cpus'),
    cpusetmems: given('cpuset-mems'),
    shmsize: number('shm-size'),
    cgroupparent: given('cgroup-parent'),
    networkmode: given('network'),
    isolation: given('isolation'),
    target: given('target'),
    labels: labels.length === 0 ? undefined : JSON.stringify(Object.fromEntries(labels)),
    ulimits: ulimits.length === 0 ? undefined : JSON.stringify(ulimits),
  };
}
