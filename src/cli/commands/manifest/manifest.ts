import { ApiError, isNotFound } from '../../../client/index.ts';
import {
  formatReference,
  mediaTypes,
  parseReference,
  repositoryName,
  withDefaultTag,
  type Descriptor,
  type Platform,
  type Reference,
} from '../../../spec/index.ts';
import { registryAuth } from '../../auth.ts';
import type { Cli } from '../../cli.ts';
import { exactArgs, minArgs, type Command } from '../../command.ts';
import { bool, list, text } from '../../flags/flags.ts';
import { indentJson } from '../../format/json-indent.ts';
import { ManifestLists, noSuchManifest, type ListedManifest } from '../../manifest-lists.ts';
import { throwJoined } from '../each.ts';
import { imagePath } from '../image/names.ts';

const insecureFlag = bool('insecure', 'Reach the registry without TLS, or whatever its certificate is');

/** Operating systems and architectures of Go that an image can be for. */
const knownPlatforms = new Set(
  [
    'darwin/386 darwin/amd64 darwin/arm darwin/arm64 dragonfly/amd64 freebsd/386 freebsd/amd64 freebsd/arm',
    'linux/386 linux/amd64 linux/arm linux/arm64 linux/ppc64le linux/mips64 linux/mips64le linux/riscv64 linux/s390x',
    'netbsd/386 netbsd/amd64 netbsd/arm openbsd/386 openbsd/amd64 openbsd/arm plan9/386 plan9/amd64',
    'solaris/amd64 windows/386 windows/amd64',
  ].flatMap((line) => line.split(' ')),
);

function named(name: string): Reference {
  return withDefaultTag(parseReference(name));
}

/** What the engine gives of a reference: an image's manifest, or an index. */
interface Fetched {
  Descriptor: Descriptor;
  /** Base64. */
  Raw: string;
}

/** A registry, by the engine: it has the certificates, mirrors and proxies. */
class RemoteManifests {
  readonly #cli: Cli;
  readonly #isInsecure: boolean;

  constructor(cli: Cli, isInsecure: boolean) {
    this.#cli = cli;
    this.#isInsecure = isInsecure;
  }

  async fetch(reference: Reference): Promise<Fetched> {
    const name = formatReference(reference);
    try {
      const response = await this.#request('GET', reference, undefined);
      return await response.json<Fetched>();
    } catch (error) {
      if (isNotFound(error)) throw new Error(`no such manifest: ${name}`, { cause: error });
      throw error;
    }
  }

  async fetchImage(reference: Reference): Promise<ListedManifest> {
    const fetched = await this.fetch(reference);
    if (isIndex(fetched.Descriptor)) throw new Error(`${formatReference(reference)} is a manifest list`);
    return listed(reference, fetched);
  }

  /** Each manifest of an index, with the platform that the index says. */
  async fetchImages(reference: Reference, index: Fetched): Promise<ListedManifest[]> {
    const { manifests } = JSON.parse(decoded(index)) as { manifests: Descriptor[] };
    const images: ListedManifest[] = [];
    for (const { digest, platform = { architecture: '', os: '' } } of manifests) {
      const image = await this.fetchImage({ ...reference, digest });
      images.push({ ...image, Descriptor: { ...image.Descriptor, platform } });
    }
    return images;
  }

  /** @param source where the blobs that the manifest names are, when they are in another repository */
  async put(
    reference: Reference,
    manifest: { MediaType: string; Raw: string },
    source?: { From: string; Blobs: string[] },
  ): Promise<string> {
    try {
      const response = await this.#request('POST', reference, { ...manifest, ...source });
      return (await response.json<{ Digest: string }>()).Digest;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      throw new Error(`failed to put manifest ${formatReference(reference)}: ${error.message}`, {
        cause: error,
      });
    }
  }

  async #request(method: string, reference: Reference, json: unknown) {
    const client = await this.#cli.client();
    return client.request(method, `/coracle/distribution/${imagePath(formatReference(reference))}/manifest`, {
      query: { insecure: this.#isInsecure || undefined },
      headers: { 'X-Registry-Auth': await registryAuth(this.#cli, reference.domain) },
      ...(json === undefined ? {} : { json }),
    });
  }
}

function decoded({ Raw }: { Raw: string }): string {
  return Buffer.from(Raw, 'base64').toString('utf8');
}

function isIndex({ mediaType }: Descriptor): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerIndex;
}

function listed(reference: Reference, { Descriptor: found, Raw }: Fetched): ListedManifest {
  const document = JSON.parse(decoded({ Raw })) as ListedManifest['OCIManifest'] & object;
  const { mediaType, digest, size, platform } = found;
  return {
    Ref: formatReference(reference),
    Descriptor: { mediaType, digest, size, platform: ordered(platform) },
    Raw,
    ...(mediaType === mediaTypes.dockerManifest ? { SchemaV2Manifest: document } : { OCIManifest: document }),
  };
}

/** Members in docker's order. */
function ordered({ architecture, os, variant, ...rest }: Platform = { architecture: '', os: '' }): Platform {
  const { 'os.version': version, 'os.features': features } = rest;
  return {
    architecture,
    os,
    ...(version ? { 'os.version': version } : {}),
    ...(features && features.length > 0 ? { 'os.features': features } : {}),
    ...(variant ? { variant } : {}),
  };
}

/** The index of manifests, as it is pushed to a repository. @throws for manifests of another registry */
function encodeIndex(
  manifests: readonly ListedManifest[],
  { domain }: Reference,
): { mediaType: string; text: string } {
  const entries = manifests.map(({ Ref, Descriptor: { mediaType, size, digest, platform } }) => {
    const own = parseReference(Ref).domain;
    if (own !== domain) {
      throw new Error(
        `cannot use source images from a different registry than the target image: ${own} != ${domain}`,
      );
    }
    return { mediaType, size, digest, platform: ordered(platform) };
  });
  const isOci = entries[0]?.mediaType === mediaTypes.ociManifest;
  const mediaType = isOci ? mediaTypes.ociIndex : mediaTypes.dockerIndex;
  return { mediaType, text: JSON.stringify({ schemaVersion: 2, mediaType, manifests: entries }, null, 3) };
}

export const create: Command = {
  synopsis: 'MANIFEST_LIST MANIFEST [MANIFEST...]',
  flags: [bool('amend', 'Add to a list that is there already', { short: 'a' }), insecureFlag],
  arity: minArgs(2),
  run: async (cli, flags) => {
    const [target = '', ...sources] = flags.args;
    const name = formatReference(named(target));
    const lists = new ManifestLists(cli);
    if (lists.has(name) && !flags.bool('amend'))
      throw new Error('refusing to amend an existing manifest list with no --amend flag');
    const remote = new RemoteManifests(cli, flags.bool('insecure'));
    for (const source of sources) {
      const reference = named(source);
      const key = formatReference(reference);
      lists.save(name, key, lists.find(name, key) ?? (await remote.fetchImage(reference)));
    }
    cli.out(`Created manifest list ${name}\n`);
  },
};

export const annotate: Command = {
  synopsis: '[OPTIONS] MANIFEST_LIST MANIFEST',
  flags: [
    text('arch', 'Architecture'),
    text('os', 'Operating system'),
    list('os-features', 'Features that the operating system must have', { typeName: 'strings' }),
    text('os-version', 'Version of the operating system'),
    text('variant', 'Variant of the architecture'),
  ],
  arity: exactArgs(2),
  run: async (cli, flags) => {
    const [target = '', source = ''] = flags.args;
    const lists = new ManifestLists(cli);
    const [name, key] = [formatReference(named(target)), formatReference(named(source))];
    const manifest = lists.find(name, key);
    if (manifest === undefined) throw new Error(`manifest for image ${source} does not exist in ${target}`);
    const { platform = { architecture: '', os: '' } } = manifest.Descriptor;
    const { 'os.features': features = [] } = platform;
    const added = flags.list('os-features').flatMap((one) => one.split(','));
    const [os, arch] = [flags.text('os'), flags.text('arch')];
    const changed = ordered({
      architecture: arch || platform.architecture,
      os: os || platform.os,
      'os.version': flags.text('os-version') || (platform['os.version'] ?? ''),
      'os.features': [...new Set([...features, ...added])],
      variant: flags.text('variant') || (platform.variant ?? ''),
    });
    if (!knownPlatforms.has(`${changed.os}/${changed.architecture}`))
      throw new Error(`manifest entry for image has unsupported os/arch combination: ${os}/${arch}`);
    lists.save(name, key, { ...manifest, Descriptor: { ...manifest.Descriptor, platform: changed } });
  },
};

/** Docker's JSON in this group is indented by tabs, with the escapes of Go. */
function printVerbose(cli: Cli, value: unknown): void {
  const text = JSON.stringify(value, null, '\t').replaceAll(
    /[<>&]/g,
    (char) => `\\u00${char.charCodeAt(0).toString(16)}`,
  );
  cli.out(`${text}\n`);
}

export const inspect: Command = {
  synopsis: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
  flags: [insecureFlag, bool('verbose', 'Show layers and platforms too', { short: 'v' })],
  arity: { min: 1, max: 2 },
  run: async (cli, flags) => {
    const lists = new ManifestLists(cli);
    const isVerbose = flags.bool('verbose');
    const reference = named(flags.args.at(-1) ?? '');
    const name = formatReference(reference);
    const printImage = (image: ListedManifest): void =>
      isVerbose ? printVerbose(cli, image) : cli.out(`${indentJson(decoded(image), '\t')}\n`);
    const printImages = (images: readonly ListedManifest[]): void =>
      isVerbose ? printVerbose(cli, images) : cli.out(`${encodeIndex(images, reference).text}\n`);
    if (flags.args.length === 2) {
      const image = lists.find(formatReference(named(flags.args[0] ?? '')), name);
      if (image === undefined) throw noSuchManifest(name);
      printImage(image);
    } else if (lists.has(name)) {
      printImages(lists.list(name));
    } else {
      const remote = new RemoteManifests(cli, flags.bool('insecure'));
      const found = await remote.fetch(reference);
      if (isIndex(found.Descriptor)) printImages(await remote.fetchImages(reference, found));
      else printImage(listed(reference, found));
    }
  },
};

export const push: Command = {
  synopsis: '[OPTIONS] MANIFEST_LIST',
  flags: [insecureFlag, bool('purge', 'Forget the list once it is pushed', { short: 'p' })],
  arity: exactArgs(1),
  run: async (cli, flags) => {
    const target = named(flags.args[0] ?? '');
    const name = formatReference(target);
    const lists = new ManifestLists(cli);
    const manifests = lists.list(name);
    if (manifests.length === 0) throw new Error(`${name} not found`);
    for (const {
      Ref,
      Descriptor: { platform },
    } of manifests) {
      if (!platform?.os || !platform.architecture)
        throw new Error(`manifest ${Ref} must have an OS and Architecture to be pushed to a registry`);
    }
    const { mediaType, text } = encodeIndex(manifests, target);
    const remote = new RemoteManifests(cli, flags.bool('insecure'));
    const { domain, path } = target;
    for (const { Ref, Descriptor: own, Raw, SchemaV2Manifest, OCIManifest } of manifests) {
      const source = parseReference(Ref);
      if (source.path === path) continue;
      const { config, layers } = SchemaV2Manifest ?? OCIManifest ?? { config: own, layers: [] };
      const digest = await remote.put(
        { domain, path, digest: own.digest },
        { MediaType: own.mediaType, Raw },
        { From: repositoryName(source), Blobs: [config, ...layers].map((blob) => blob.digest) },
      );
      cli.out(`Pushed ref ${repositoryName(target)}@${own.digest} with digest: ${digest}\n`);
    }
    const digest = await remote.put(target, {
      MediaType: mediaType,
      Raw: Buffer.from(text).toString('base64'),
    });
    cli.out(`${digest}\n`);
    if (flags.bool('purge')) lists.remove(name);
  },
};

export const rm: Command = {
  synopsis: 'MANIFEST_LIST [MANIFEST_LIST...]',
  flags: [],
  arity: minArgs(1),
  run: (cli, { args }) => {
    const lists = new ManifestLists(cli);
    const errors: unknown[] = [];
    for (const name of args) {
      try {
        lists.remove(formatReference(named(name)));
      } catch (error) {
        errors.push(error);
      }
    }
    throwJoined(errors);
    return Promise.resolve();
  },
};
