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

/** An image archive as docker-archive, OCI layout or both, its documents spoiled before they get their digests. */
export async function randomImage(random: Random, texts: Texts): Promise<Buffer> {
  const files = new Map<string, Buffer>();
  const spoil = (value: unknown): unknown =>
    random.once(8) ? mutateJson(random, value, texts.names) : value;
  const blob = (bytes: Buffer, mediaType: string): object => {
    const digest = digestOf(bytes);
    files.set(`blobs/sha256/${digestHex(digest)}`, bytes);
    return spoil({ mediaType, digest, size: bytes.length }) as object;
  };
  const json = (value: unknown): Buffer => {
    const bytes = Buffer.from(JSON.stringify(spoil(value)) ?? '');
    return random.once(20) ? mutateBytes(random, bytes, bytes) : bytes;
  };
  const layers = await Promise.all(
    Array.from({ length: random.int(4) }, async () => await randomTar(random, texts)),
  );
  const packed = layers.map((layer) => wrapped(random, layer, layer));
  const config = json({
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['sh'], Labels: { a: 'b' }, Volumes: { '/v': {} }, Env: ['A=b'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
    history: layers.map(() => ({ created_by: 'x' })),
  });
  const type = (name: string): string => `application/vnd.oci.image.${name}`;
  const manifest = json({
    schemaVersion: 2,
    mediaType: type('manifest.v1+json'),
    config: blob(config, type('config.v1+json')),
    layers: packed.map((layer) => blob(layer, type('layer.v1.tar'))),
  });
  let top = blob(manifest, type('manifest.v1+json'));
  for (let nested = random.once(3) ? random.int(12) : 0; nested > 0; nested -= 1) {
    top = blob(json({ schemaVersion: 2, manifests: [top, top] }), type('index.v1+json'));
  }
  const annotations = { 'io.containerd.image.name': 'docker.io/library/fuzz:1' };
  const withDocker = random.once(2);
  if (!withDocker || random.once(2)) {
    files.set('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    files.set('index.json', json({ schemaVersion: 2, manifests: [{ ...top, annotations }] }));
  }
  if (withDocker) {
    const paths = packed.map((layer, index) => {
      files.set(`${index}/layer.tar`, layer);
      return `${index}/layer.tar`;
    });
    files.set('config.json', config);
    files.set('manifest.json', json([{ Config: 'config.json', RepoTags: ['fuzz:1'], Layers: paths }]));
  }
  const archive = await tarOfFiles(files);
  return wrapped(random, random.once(4) ? mutateTar(random, archive, texts.names) : archive, archive);
}
