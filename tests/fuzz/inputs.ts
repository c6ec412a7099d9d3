import { gzipSync, zstdCompressSync } from 'node:zlib';
import { writeTar, type TarSource } from '../../src/archive/index.ts';
import { digestHex, digestOf } from '../../src/spec/index.ts';
import { mutateBytes, mutateJson, mutateTar } from './mutate.ts';
import type { Random } from './random.ts';

export interface Texts {
  names: readonly string[];
  /** Where links lead. */
  targets: readonly string[];
}

/** Names and link targets of which at least one leads where it must not; `outside` is such a directory. */
export function hostileTexts(outside: string): Texts {
  const plain = 'a a/b a/b/c d d/ ./ . link link/x link/secret a//b/./c manifest.json index.json oci-layout';
  const leading = '.. ../ ../outside/secret a/../../outside/new ../../../../../../etc / // /proc/self/root';
  const deletions =
    '.wh.a a/.wh.b .wh. .wh.. .wh... .wh..wh..opq a/.wh..wh..opq .wh..wh..opq/x .wh..wh.plnk/1 .wh.link ' +
    'link/.wh.secret link/.wh..wh..opq .wh.../outside/secret .wh.d/x';
  const long = ['n'.repeat(100), 'n'.repeat(256), 'd/'.repeat(120), `${'p/'.repeat(40)}x`];
  const names = `${plain} ${leading} ${deletions}`
    .split(' ')
    .concat(long, '', 'a\0b', '\xff\xfe', 'é', '\n', 'x ', outside, `${outside}/secret`, `..${outside}/new`);
  const targets = [
    outside,
    '/',
    '..',
    '../outside',
    '../../../outside',
    `${outside}/secret`,
    'a',
    'd',
    'link',
  ];
  return { names, targets };
}

const plainTexts = [
  'a',
  'a/b',
  'a/b/c',
  'd',
  'd/e',
  'link',
  'link/x',
  'link/y/z',
  '.wh.a',
  'd/.wh..wh..opq',
  'é',
];

const kinds = ['file', 'file', 'directory', 'symlink', 'symlink', 'hardlink'] as const;
const rareKinds = ['char-device', 'block-device', 'fifo'] as const;

/** A tar of members with such names, whole as far as its format goes. */
export async function randomTar(random: Random, texts: Texts): Promise<Buffer> {
  const members = Array.from({ length: 1 + random.int(8) }, (): TarSource => {
    const type = random.pick(random.once(6) ? rareKinds : kinds);
    // Too many that must be refused would keep the others from being reached.
    const text = (): string => random.pick(random.once(4) ? texts.names : plainTexts);
    return {
      path: text() || 'x',
      type,
      mode: random.int(0o10000),
      uid: random.int(random.once(4) ? 2 ** 31 : 10),
      mtimeSeconds: random.int(2 ** 31),
      mtimeNanos: random.once(3) ? random.int(1e9) : 0,
      ...(type === 'file' ? { body: random.bytes(random.int(random.once(5) ? 3000 : 40)) } : {}),
      ...(type === 'symlink' || type === 'hardlink' ? { linkPath: random.pick(texts.targets) } : {}),
      ...(type.endsWith('device') ? { deviceMajor: random.int(300), deviceMinor: random.int(300) } : {}),
      ...(random.once(6) ? { xattrs: new Map([['user.note', random.bytes(5)]]) } : {}),
    };
  });
  const plain = Buffer.concat(await Array.fromAsync(writeTar(members)));
  return random.once(2) ? plain : mutateTar(random, plain, texts.names);
}

/** Compressed or not, broken or not. */
export function wrapped(random: Random, bytes: Buffer, other: Buffer): Buffer {
  const inner = random.once(8) ? mutateBytes(random, bytes, other) : bytes;
  const packed = random.pick([(plain: Buffer) => plain, gzipSync, zstdCompressSync])(inner);
  return random.once(8) ? mutateBytes(random, packed, other) : packed;
}

async function tarOfFiles(files: ReadonlyMap<string, Buffer>): Promise<Buffer> {
  const members = [...files].map(([path, body]): TarSource => ({ path, type: 'file', mode: 0o644, body }));
  return Buffer.concat(await Array.fromAsync(writeTar(members)));
}

/** An image in parts, its documents spoiled before they get their digests. */
export interface RandomImage {
  /** All blobs, documents among them. */
  blobs: readonly Buffer[];
  layers: readonly Buffer[];
  config: Buffer;
  /** Descriptor of the manifest or index, and its bytes. */
  top: object;
  topBytes: Buffer;
}

function spoiled(random: Random, texts: Texts, value: unknown): unknown {
  return random.once(8) ? mutateJson(random, value, texts.names) : value;
}

function document(random: Random, texts: Texts, value: unknown): Buffer {
  const bytes = Buffer.from(JSON.stringify(spoiled(random, texts, value)) ?? '');
  return random.once(20) ? mutateBytes(random, bytes, bytes) : bytes;
}

export async function randomImage(random: Random, texts: Texts): Promise<RandomImage> {
  const blobs: Buffer[] = [];
  const type = (name: string): string => `application/vnd.oci.image.${name}`;
  const blob = (bytes: Buffer, mediaType: string): object => {
    blobs.push(bytes);
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    return spoiled(random, texts, descriptor) as object;
  };
  const plain = await Promise.all(
    Array.from({ length: random.int(4) }, async () => await randomTar(random, texts)),
  );
  const layers = plain.map((layer) => wrapped(random, layer, layer));
  const config = document(random, texts, {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['sh'], Labels: { a: 'b' }, Volumes: { '/v': {} }, Env: ['A=b'] },
    rootfs: { type: 'layers', diff_ids: plain.map((layer) => digestOf(layer)) },
    history: plain.map(() => ({ created_by: 'x' })),
  });
  let topBytes = document(random, texts, {
    schemaVersion: 2,
    mediaType: type('manifest.v1+json'),
    config: blob(config, type('config.v1+json')),
    layers: layers.map((layer) => blob(layer, type('layer.v1.tar'))),
  });
  let top = blob(topBytes, type('manifest.v1+json'));
  for (let nested = random.once(3) ? random.int(12) : 0; nested > 0; nested -= 1) {
    topBytes = document(random, texts, { schemaVersion: 2, manifests: [top, top] });
    top = blob(topBytes, type('index.v1+json'));
  }
  return { blobs, layers, config, top, topBytes };
}

/** An image archive as docker-archive, OCI layout or both. */
export async function randomArchive(random: Random, texts: Texts): Promise<Buffer> {
  const { blobs, layers, config, top } = await randomImage(random, texts);
  const files = new Map(blobs.map((bytes) => [`blobs/sha256/${digestHex(digestOf(bytes))}`, bytes]));
  const annotations = { 'io.containerd.image.name': 'docker.io/library/fuzz:1' };
  const withDocker = random.once(2);
  if (!withDocker || random.once(2)) {
    const index = { schemaVersion: 2, manifests: [{ ...top, annotations }] };
    files.set('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    files.set('index.json', document(random, texts, index));
  }
  if (withDocker) {
    const paths = layers.map((layer, index) => {
      files.set(`${index}/layer.tar`, layer);
      return `${index}/layer.tar`;
    });
    const item = { Config: 'config.json', RepoTags: ['fuzz:1'], Layers: paths };
    files.set('config.json', config);
    files.set('manifest.json', document(random, texts, [item]));
  }
  const archive = await tarOfFiles(files);
  return wrapped(random, random.once(4) ? mutateTar(random, archive, texts.names) : archive, archive);
}
