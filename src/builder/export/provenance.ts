import { randomBytes } from 'node:crypto';
import { formatPlatform, type Platform } from '../../spec/index.ts';
import type { BuildRequest } from '../builder.ts';
import type { BuildContext } from '../context/build-context.ts';
import { withoutCredentials } from '../context/git-reference.ts';
import { commitDigest, type Material } from './materials.ts';

/** How much the provenance of an image tells. */
export interface ProvenanceOptions {
  /** `max`: with build arguments, labels, ids of secrets and agents, and the Dockerfile. */
  mode: 'min' | 'max';
  /** A URI of who builds. */
  builderId?: string;
  /** The one who asks for it says that the same comes of the same. */
  isReproducible?: boolean;
}

const BUILD_TYPE = 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md';

/**
 * Where an image comes from, as a statement of SLSA's provenance with BuildKit's members. No content of a secret is in it, and
 * no password of a URL.
 * @see https://slsa.dev/spec/v1.1/provenance
 */
export function provenance(
  request: BuildRequest,
  { mode, builderId = '', isReproducible = false }: ProvenanceOptions,
  facts: {
    context: BuildContext;
    materials: Material[];
    machine: Platform;
    startedAtMs: number;
    finishedAtMs: number;
  },
): { predicateType: string; predicate: object } {
  const { context, materials } = facts;
  const isMax = mode === 'max';
  const remote = withoutCredentials(request.remote ?? '');
  const { commit } = context;
  const source =
    remote === '' ? {} : { uri: remote, ...(commit === undefined ? {} : { digest: commitDigest(commit) }) };
  const locals = remote === '' ? [{ name: 'context' }, { name: 'dockerfile' }] : [];
  const ids = (what: ReadonlyMap<string, unknown> | undefined): object[] =>
    [...(what?.keys() ?? [])].map((id) => ({ id, optional: true }));
  const lists = { secrets: ids(request.secrets), ssh: ids(request.ssh), locals };
  const shown = Object.entries(isMax ? lists : { locals }).filter(([, list]) => list.length > 0);
  const predicate = {
    buildDefinition: {
      buildType: BUILD_TYPE,
      externalParameters: {
        configSource: { ...source, path: context.dockerfileName },
        request: {
          frontend: 'dockerfile.v0',
          args: parameters(request, isMax),
          ...Object.fromEntries(shown),
        },
      },
      internalParameters: { builderPlatform: formatPlatform(facts.machine) },
      resolvedDependencies: materials,
    },
    runDetails: {
      builder: { id: builderId },
      metadata: {
        invocationId: request.buildId || randomBytes(16).toString('hex'),
        startedOn: new Date(facts.startedAtMs).toISOString(),
        finishedOn: new Date(facts.finishedAtMs).toISOString(),
        buildkit_metadata: isMax ? { source: { infos: [sourceInfo(context)] } } : {},
        buildkit_completeness: { request: isMax, resolvedDependencies: locals.length === 0 },
        ...(isReproducible ? { buildkit_reproducible: true } : {}),
      },
    },
  };
  return { predicateType: 'https://slsa.dev/provenance/v1', predicate };
}

function sourceInfo({ dockerfile, dockerfileName }: BuildContext): object {
  return {
    filename: dockerfileName,
    language: 'Dockerfile',
    data: Buffer.from(dockerfile).toString('base64'),
  };
}

/** As BuildKit's front end names them. */
function parameters(request: BuildRequest, isMax: boolean): Record<string, string> {
  const { target = '', platform = '', noCache = false, buildArgs = {}, labels = {} } = request;
  const pairs = (prefix: string, values: Readonly<Record<string, string | null>>): [string, string][] =>
    Object.entries(values).map(([name, value]) => [`${prefix}:${name}`, value ?? '']);
  return Object.fromEntries([
    ...(target === '' ? [] : [['target', target]]),
    ...(platform === '' ? [] : [['platform', platform]]),
    ...(noCache ? [['no-cache', '']] : []),
    ...(isMax ? [...pairs('build-arg', buildArgs), ...pairs('label', labels)] : []),
  ]) as Record<string, string>;
}
