import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ApiClient } from '../../client/index.ts';
import { mapTar, memberAgain, readTar, writeTar, type TarSource } from '../../archive/index.ts';
import type { Cli } from '../cli.ts';
import { unpack } from '../copy.ts';
import { parseCsv } from '../opts/csv.ts';
import { familiar, fullName, parseReference, type Reference } from '../opts/reference.ts';

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
  if (toStdout.length > 1) throw new Error('multiple outputs configured to write to stdout');
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
  const isDirectory = type === 'local' || given.get('tar') === 'false';
  if (isDirectory && dest === '') throw new Error(`dest is required for ${type} exporter`);
  if (isDirectory && dest === '-') throw new Error(`dest cannot be stdout for ${type} exporter`);
  if (dest === '' && (type === 'oci' || type === 'tar')) {
    return { type, dest: '-', attributes: given };
  }
  return { type: type as OutputType, dest, attributes: given };
}

export function isOn(output: Output, name: string): boolean {
  return ['true', '1'].includes((output.attributes.get(name) ?? '').toLowerCase());
}

/** As the engine is told of an output. A file that the image is written to is no matter of it, nor are that file's names. */
export function sentOutput(
  output: Output,
  names: readonly string[],
  annotations: ReadonlyMap<string, string>,
): { Type: string; Attrs: Record<string, string> } {
  const attributes = Object.fromEntries([...output.attributes, ...annotations]);
  delete attributes['name'];
  const name = keepsImage(output) ? { name: names.join(',') } : {};
  return { Type: output.type, Attrs: { ...attributes, ...name } };
}

/** Names that an output gives its image: those of `--tag`, else its own. */
export function namesOf(output: Output, tags: readonly string[]): readonly string[] {
  if (!isImage(output)) return [];
  const given = output.attributes.get('name');
  return tags.length > 0 ? tags : given === undefined ? [] : given.split(',');
}

/** True when the engine makes something of the image, which is then in it or fetched from it. */
export function isImage({ type }: Output): boolean {
  return type !== 'local' && type !== 'tar' && type !== 'cacheonly';
}

/** True when the image stays in the engine's store under its names. */
export function keepsImage({ type, dest }: Output): boolean {
  return type === 'image' || type === 'registry' || (type === 'docker' && dest === '');
}

/** One platform's image. */
export interface BuiltImage {
  id: string;
  /** `linux/amd64`. */
  platform: string;
}

/** Where an engine says that what was built is. */
export interface Target {
  digest: string;
  mediaType: string;
  size: number;
  annotations?: Record<string, string>;
}

/**
 * Brings what was built to where an output wants it.
 * @param target what the engine made of it for this output; null for an image without a manifest
 */
export async function deliver(
  cli: Cli,
  output: Output,
  built: { images: readonly BuiltImage[]; target: Target | null },
  options: { names: readonly string[]; epochSeconds: string | undefined },
): Promise<void> {
  const { images, target } = built;
  if (isImage(output)) {
    if (output.dest !== '') await saveImage(cli, output, target ?? images[0], options.names);
    return;
  }
  if (output.type === 'cacheonly') return;
  const client = await cli.client();
  const isSplit = (output.attributes.get('platform-split') ?? String(images.length > 1)) !== 'false';
  const merged = new MergedFiles();
  const parts = images.map((image) => async (): Promise<AsyncIterable<Uint8Array>> => {
    const tar = await files(client, image, options.epochSeconds);
    if (isSplit) return below(tar, `${image.platform.replaceAll('/', '_')}/`);
    return images.length > 1 ? merged.add(tar, image.platform) : tar;
  });
  if (output.type === 'tar') {
    await write(cli, output.dest, joined(parts));
    return;
  }
  const directory = resolve(output.dest);
  mkdirSync(directory, { recursive: true });
  for (const part of parts) {
    await unpack(await part(), { directory, from: '/', to: '', owners: process.getuid?.() === 0 });
  }
}

/** Files of several platforms in one place: no file of one may take the place of another's. */
class MergedFiles {
  readonly #owners = new Map<string, string>();

  /** @throws {Error} with BuildKit's text, while it is read */
  add(tar: AsyncIterable<Uint8Array>, platform: string): AsyncIterable<Uint8Array> {
    return mapTar(tar, (entry) => {
      const owner = this.#owners.get(entry.path);
      if (owner !== undefined && entry.type !== 'directory') {
        const both = `${entry.path} from ${owner} with ${platform}`;
        throw new Error(`cannot overwrite ${both} when split option is disabled`);
      }
      this.#owners.set(entry.path, platform);
      return [memberAgain(entry)];
    });
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

/** @param image what the archive is of, by a digest that the engine knows */
async function saveImage(
  cli: Cli,
  output: Output,
  image: Target | BuiltImage | undefined,
  names: readonly string[],
): Promise<void> {
  if (image === undefined) throw new Error('the engine gave no image');
  const client = await cli.client();
  const id = 'digest' in image ? image.digest : image.id;
  const annotations = 'digest' in image ? (image.annotations ?? {}) : {};
  const response = await client.request('GET', '/images/get', { query: { names: [id] } });
  const archive = named(response.body, names, { isDocker: output.type === 'docker', annotations });
  if (output.attributes.get('tar') !== 'false') {
    await write(cli, output.dest, archive);
    return;
  }
  const directory = resolve(output.dest);
  mkdirSync(directory, { recursive: true });
  await unpack(archive, { directory, from: '/', to: '', owners: false });
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
 * @param options.isDocker keep what makes it an archive for `docker load`, too
 * @param options.annotations where the layout names the image
 */
function named(
  tar: AsyncIterable<Uint8Array>,
  names: readonly string[],
  { isDocker, annotations }: { isDocker: boolean; annotations: Record<string, string> },
): AsyncIterable<Uint8Array> {
  const references = names.map((name) => {
    const reference = parseReference(name);
    if (reference === null) throw new Error(`invalid reference format: ${name}`);
    return { ...reference, tag: reference.tag || 'latest' };
  });
  return mapTar(tar, async function* (entry): AsyncGenerator<TarSource> {
    const json = async <T>(): Promise<T> =>
      JSON.parse((await entry.bytes(MAX_JSON_BYTES)).toString('utf8')) as T;
    if (entry.path === 'index.json') {
      yield jsonFile('index.json', withNames(await json<Index>(), references, annotations));
    } else if (entry.path === 'manifest.json' && isDocker) {
      const RepoTags = references.length === 0 ? null : references.map((one) => familiar(one));
      const manifests = await json<object[]>();
      yield jsonFile(
        'manifest.json',
        manifests.map((manifest) => ({ ...manifest, RepoTags })),
      );
    } else if (entry.path !== 'manifest.json' && entry.path !== 'repositories') yield memberAgain(entry);
  });
}

function withNames(
  index: Index,
  references: readonly Reference[],
  annotations: Record<string, string>,
): Index {
  const manifests = index.manifests.flatMap(({ annotations: _dropped, ...target }) => {
    const given = references.map((reference) => ({
      ...annotations,
      'io.containerd.image.name': `${fullName(reference)}:${reference.tag}`,
      'org.opencontainers.image.ref.name': reference.tag,
    }));
    const all = given.length === 0 && Object.keys(annotations).length > 0 ? [annotations] : given;
    return all.length === 0 ? [target] : all.map((one) => ({ ...target, annotations: one }));
  });
  return { ...index, manifests };
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
