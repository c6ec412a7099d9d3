import { createReadStream, existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { writeTar, type TarSource } from '../../archive/index.ts';
import type { Cli } from '../cli.ts';
import type { ProgressMessage } from '../progress.ts';
import { isRemote } from './context-source.ts';

/** `--build-context name=…` as the engine wants it. */
export interface SentContexts {
  names: Record<string, string>;
  /** What `sent:<index>` among the names means. */
  directories: string[];
}

/** @throws {Error} with docker's texts */
export async function namedContexts(cli: Cli, values: readonly string[]): Promise<SentContexts> {
  const sent: SentContexts = { names: {}, directories: [] };
  for (const value of values) {
    const equals = value.indexOf('=');
    const name = equals === -1 ? '' : value.slice(0, equals);
    const target = value.slice(equals + 1);
    if (name === '') throw new Error(`invalid context value: ${value}, expected key=value`);
    sent.names[name.toLowerCase()] = await contextValue(cli, target, sent.directories);
  }
  return sent;
}

async function contextValue(cli: Cli, target: string, directories: string[]): Promise<string> {
  if (target.startsWith('docker-image://') || isRemote(target)) return target;
  const layout = /^oci-layout:\/\/(.+)$/.exec(target)?.[1];
  if (layout !== undefined) return `docker-image://${await loadLayout(cli, layout)}`;
  if (target.startsWith('target:')) throw new Error('contexts from other targets exist in bake alone');
  const directory = resolve(target);
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error(`failed to get build context ${target}: no such file or directory`);
  if (!stat.isDirectory()) throw new Error(`failed to get build context ${target}: it is not a directory`);
  directories.push(directory);
  return `sent:${directories.length - 1}`;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

/** Gives the engine an image of a layout on this machine, without a name. @returns its id */
async function loadLayout(cli: Cli, text: string): Promise<string> {
  const [, path = '', digest, tag] =
    /^(.*?)(?:@(sha256:[0-9a-f]{64})|:([\w][\w.-]{0,127}))?$/.exec(text) ?? [];
  const directory = resolve(path);
  if (!existsSync(join(directory, 'index.json'))) {
    throw new Error(`failed to get build context oci-layout://${text}: there is no index.json`);
  }
  const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
    manifests?: Descriptor[];
  };
  const manifests = index.manifests ?? [];
  const wanted = digest ?? tag ?? 'latest';
  const found = manifests.find((manifest) =>
    digest === undefined
      ? manifest.annotations?.['org.opencontainers.image.ref.name'] === wanted
      : manifest.digest === digest,
  );
  const [only, ...others] = manifests;
  const chosen =
    found ?? (digest === undefined && tag === undefined && others.length === 0 ? only : undefined);
  if (chosen === undefined) {
    throw new Error(`failed to get build context oci-layout://${text}: ${wanted} is not in the layout`);
  }
  const { annotations: _names, ...nameless } = chosen;
  const client = await cli.client();
  const response = await client.request('POST', '/images/load', {
    query: { quiet: 1 },
    body: layoutTar(directory, nameless),
  });
  let said = '';
  for await (const message of response.values<ProgressMessage>()) {
    if (message.error !== undefined) throw new Error(message.error);
    said += message.stream ?? '';
  }
  const id = /Loaded image ID: (sha256:[0-9a-f]{64})/.exec(said)?.[1];
  if (id === undefined) throw new Error(`the engine loaded no image from oci-layout://${text}`);
  return id;
}

function layoutTar(directory: string, manifest: Descriptor): AsyncIterable<Uint8Array> {
  const text = (path: string, value: object): TarSource => {
    const body = Buffer.from(JSON.stringify(value));
    return { path, type: 'file', mode: 0o644, sizeBytes: body.length, body: [body] };
  };
  const sources = function* (): Generator<TarSource> {
    yield text('oci-layout', { imageLayoutVersion: '1.0.0' });
    yield text('index.json', { schemaVersion: 2, manifests: [manifest] });
    for (const name of readdirSync(join(directory, 'blobs/sha256')).toSorted()) {
      const path = join(directory, 'blobs/sha256', name);
      const { size } = statSync(path);
      const body = size === 0 ? [] : createReadStream(path, { end: size - 1 });
      yield { path: `blobs/sha256/${name}`, type: 'file', mode: 0o644, sizeBytes: size, body };
    }
  };
  return writeTar(sources());
}
