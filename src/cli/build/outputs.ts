import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ApiClient } from '../../client/index.ts';
import { mapTar, memberAgain, readTar, writeTar, type TarSource } from '../../archive/index.ts';
import { imageAuth } from '../auth.ts';
import type { Cli } from '../cli.ts';
import { imagePath } from '../commands/image/names.ts';
import { unpack } from '../copy.ts';
import { parseCsv } from '../opts/csv.ts';
import { familiar, fullName, parseReference, type Reference } from '../opts/reference.ts';
import { displayProgress, type ProgressMessage } from '../progress.ts';

const types = ['local', 'tar', 'docker', 'oci', 'image', 'registry', 'cacheonly'] as const;
type OutputType = (typeof types)[number];

/** What becomes of a build. */
export interface Output {
  type: OutputType;
  /** A path, `-` for standard output, '' for the engine's own store. */
  dest: string;
  attributes: ReadonlyMap<string, string>;
}

/** `--output`, `--push` and `--load`. @throws {Error} with docker's texts */
export function parseOutputs(
  values: readonly string[],
  { push, load }: { push: boolean; load: boolean },
): Output[] {
  const outputs = values.filter((value) => value !== '').map(parseOutput);
  if (push && load) throw new Error('push and load may not be set together at the moment');
  if (push) {
    const image = outputs.find(({ type }) => type === 'image');
    if (image !== undefined) image.attributes = new Map([...image.attributes, ['push', 'true']]);
    else outputs.push({ type: 'registry', dest: '', attributes: new Map() });
  }
  if (load && !outputs.some(({ type }) => type === 'docker')) {
    outputs.push({ type: 'docker', dest: '', attributes: new Map() });
  }
  const toStdout = outputs.filter(({ dest }) => dest === '-');
  if (toStdout.length > 1) throw new Error('multiple outputs to standard output');
  return outputs;
}

function parseOutput(value: string): Output {
  const fields = parseCsv(value);
  if (fields.length === 1 && fields[0] === value && !value.startsWith('type=')) {
    return { type: value === '-' ? 'tar' : 'local', dest: value, attributes: new Map() };
  }
  const given = new Map<string, string>();
  for (const field of fields) {
    const equals = field.indexOf('=');
    if (equals === -1) throw new Error(`invalid value ${field}`);
    given.set(field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1));
  }
  const type = given.get('type') ?? '';
  const dest = given.get('dest') ?? '';
  given.delete('type');
  given.delete('dest');
  if (type === '') throw new Error('type is required for output');
  if (!(types as readonly string[]).includes(type)) {
    throw new Error(`exporter ${JSON.stringify(type)} could not be found`);
  }
  if (dest === '' && (type === 'local' || type === 'oci' || type === 'tar')) {
    throw new Error(`dest is required for ${type} exporter`);
  }
  if (dest === '-' && type === 'local') throw new Error('dest cannot be stdout for local exporter');
  return { type: type as OutputType, dest, attributes: given };
}

export function isOn(output: Output, name: string): boolean {
  return ['true', '1'].includes((output.attributes.get(name) ?? '').toLowerCase());
}

/** Names that an output gives its image, else those of the build. */
export function namesOf(output: Output, tags: readonly string[]): readonly string[] {
  const given = output.attributes.get('name');
  return given === undefined ? tags : given.split(',');
}

/** True when the image stays in the engine's store under its names. */
export function keepsImage({ type, dest }: Output): boolean {
  return type === 'image' || type === 'registry' || (type === 'docker' && dest === '');
}

/** One platform's image. */
export interface BuiltImage {
  id: string;
  /** `linux/amd64`; '' when the build is for one alone. */
  platform: string;
}

/** Brings what was built to where an output wants it. */
export async function deliver(
  cli: Cli,
  output: Output,
  images: readonly BuiltImage[],
  options: { tags: readonly string[]; epochSeconds: string | undefined },
): Promise<void> {
  const client = await cli.client();
  const names = namesOf(output, options.tags);
  switch (output.type) {
    case 'cacheonly':
      return;
    case 'image':
    case 'registry':
    case 'docker':
      if (output.dest === '') await keep(cli, client, output, images, names);
      else await saveTo(cli, output.dest, images, (tar) => named(tar, names, images, true));
      return;
    case 'oci':
      await saveOci(cli, output, images, names);
      return;
    case 'local':
      for (const image of images) {
        const directory = resolve(output.dest, image.platform.replaceAll('/', '_'));
        mkdirSync(directory, { recursive: true });
        const place = { directory, from: '/', to: '', owners: process.getuid?.() === 0 };
        await unpack(await files(client, image, options.epochSeconds), place);
      }
      return;
    case 'tar': {
      const parts = images.map((image) => async (): Promise<AsyncIterable<Uint8Array>> => {
        const tar = await files(client, image, options.epochSeconds);
        return image.platform === '' ? tar : below(tar, `${image.platform.replaceAll('/', '_')}/`);
      });
      await write(cli, output.dest, joined(parts));
    }
  }
}

async function keep(
  cli: Cli,
  client: ApiClient,
  output: Output,
  images: readonly BuiltImage[],
  names: readonly string[],
): Promise<void> {
  const [image] = images;
  if (image === undefined || images.length > 1) {
    throw new Error(
      'an image for several platforms cannot be kept here: write it to a file with --output type=oci,dest=FILE',
    );
  }
  const pushes = output.type === 'registry' || isOn(output, 'push');
  if (pushes && names.length === 0) throw new Error('tag is needed when pushing to registry');
  for (const name of names) {
    const reference = parseReference(name);
    if (reference === null) throw new Error(`invalid reference format: ${name}`);
    const tag = reference.tag || 'latest';
    await client.post(`/images/${image.id}/tag`, { query: { repo: reference.name, tag } });
    if (!pushes) continue;
    const response = await client.request('POST', `/images/${imagePath(reference.name)}/push`, {
      query: { tag },
      headers: { 'X-Registry-Auth': await imageAuth(cli, name) },
    });
    await displayProgress(cli, response.values<ProgressMessage>(), { fd: 2, quiet: true });
  }
}

async function files(
  client: ApiClient,
  image: BuiltImage,
  epochSeconds: string | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const query = { image: image.id, epoch: epochSeconds };
  return (await client.request('GET', '/coracle/build/files', { query })).body;
}

/** A tar with all of it in a directory. */
function below(tar: AsyncIterable<Uint8Array>, prefix: string): AsyncIterable<Uint8Array> {
  return mapTar(tar, (entry) => {
    const member = memberAgain(entry);
    const linkPath = entry.type === 'hardlink' ? `${prefix}${entry.linkPath}` : entry.linkPath;
    return [{ ...member, path: `${prefix}${entry.path}`, linkPath }];
  });
}

/** Several tars as one. */
async function* joined(
  parts: readonly (() => Promise<AsyncIterable<Uint8Array>>)[],
): AsyncGenerator<Uint8Array> {
  const [only, ...others] = parts;
  if (only !== undefined && others.length === 0) {
    yield* await only();
    return;
  }
  const members = async function* (): AsyncGenerator<TarSource> {
    for (const part of parts) {
      for await (const entry of readTar(await part())) yield memberAgain(entry);
    }
  };
  yield* writeTar(members());
}

async function saveTo(
  cli: Cli,
  dest: string,
  images: readonly BuiltImage[],
  change: (tar: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): Promise<void> {
  const client = await cli.client();
  const response = await client.request('GET', '/images/get', {
    query: { names: images.map(({ id }) => id) },
  });
  await write(cli, dest, change(response.body));
}

async function saveOci(
  cli: Cli,
  output: Output,
  images: readonly BuiltImage[],
  names: readonly string[],
): Promise<void> {
  const layout = (tar: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> =>
    named(tar, names, images, false);
  if ((output.attributes.get('tar') ?? 'true') !== 'false') {
    await saveTo(cli, output.dest, images, layout);
    return;
  }
  const client = await cli.client();
  const response = await client.request('GET', '/images/get', {
    query: { names: images.map(({ id }) => id) },
  });
  const directory = resolve(output.dest);
  mkdirSync(directory, { recursive: true });
  await unpack(layout(response.body), { directory, from: '/', to: '', owners: false });
}

const MAX_JSON_BYTES = 16 * 1024 * 1024;

interface Index {
  schemaVersion: number;
  mediaType: string;
  manifests: { digest: string; size: number; mediaType: string; annotations?: Record<string, string> }[];
}

/**
 * A saved archive with these names in it. The archive is saved by ids, so that names which the engine's store does not
 * know can be given, and that what it knows under other names does not get in.
 * @param docker keep what makes it an archive for `docker load`, too
 */
function named(
  tar: AsyncIterable<Uint8Array>,
  names: readonly string[],
  images: readonly BuiltImage[],
  docker: boolean,
): AsyncIterable<Uint8Array> {
  if (docker && images.length > 1) {
    throw new Error('docker exporter does not currently support exporting manifest lists');
  }
  const references = names.map((name) => {
    const reference = parseReference(name);
    if (reference === null) throw new Error(`invalid reference format: ${name}`);
    return { ...reference, tag: reference.tag || 'latest' };
  });
  return mapTar(tar, async function* (entry): AsyncGenerator<TarSource> {
    if (entry.path === 'index.json') {
      const index = JSON.parse((await entry.bytes(MAX_JSON_BYTES)).toString('utf8')) as Index;
      yield* indexFiles(index, references, images.length > 1);
    } else if (entry.path === 'manifest.json' && docker) {
      const manifests = JSON.parse((await entry.bytes(MAX_JSON_BYTES)).toString('utf8')) as object[];
      const RepoTags = references.length === 0 ? null : references.map((one) => familiar(one));
      yield jsonFile(
        'manifest.json',
        manifests.map((manifest) => ({ ...manifest, RepoTags })),
      );
    } else if (entry.path !== 'manifest.json' && entry.path !== 'repositories') yield memberAgain(entry);
  });
}

async function* indexFiles(
  index: Index,
  references: readonly Reference[],
  several: boolean,
): AsyncGenerator<TarSource> {
  let targets = index.manifests.map(({ annotations: _dropped, ...manifest }) => manifest);
  if (several) {
    const { createHash } = await import('node:crypto');
    const body = Buffer.from(JSON.stringify({ ...index, manifests: targets }));
    const hex = createHash('sha256').update(body).digest('hex');
    yield { path: `blobs/sha256/${hex}`, type: 'file', mode: 0o644, sizeBytes: body.length, body: [body] };
    targets = [{ mediaType: index.mediaType, digest: `sha256:${hex}`, size: body.length }];
  }
  const manifests = targets.flatMap((target) =>
    references.length === 0
      ? [target]
      : references.map((reference) => ({
          ...target,
          annotations: {
            'io.containerd.image.name': `${fullName(reference)}:${reference.tag}`,
            'org.opencontainers.image.ref.name': reference.tag,
          },
        })),
  );
  yield jsonFile('index.json', { ...index, manifests });
}

function jsonFile(path: string, value: object): TarSource {
  const body = Buffer.from(JSON.stringify(value));
  return { path, type: 'file', mode: 0o644, sizeBytes: body.length, body: [body] };
}

/** @param dest a file, `-` for standard output */
async function write(cli: Cli, dest: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  if (dest === '-') {
    if (cli.isTerminal(1))
      throw new Error('dest file is required for tar exporter. refusing to write to console');
    for await (const chunk of chunks) cli.out(chunk);
    return;
  }
  mkdirSync(dirname(resolve(dest)), { recursive: true });
  await pipeline(chunks, createWriteStream(resolve(dest)));
}

/** `--metadata-file`, with the names that docker's has. */
export function writeMetadata(path: string, image: BuiltImage | undefined, names: readonly string[]): void {
  const full = names.map((name) => {
    const reference = parseReference(name);
    return reference === null ? name : `${fullName(reference)}:${reference.tag || 'latest'}`;
  });
  const metadata: Record<string, unknown> = {};
  if (image !== undefined) {
    metadata['containerimage.config.digest'] = image.id;
    metadata['containerimage.digest'] = image.id;
  }
  if (full.length > 0) metadata['image.name'] = full.join(',');
  writeFileSync(path, JSON.stringify(metadata, null, 2), { mode: 0o644 });
}
