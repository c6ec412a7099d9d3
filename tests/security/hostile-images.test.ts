/** Attacks by the documents of an image archive: manifests, indexes, configurations. Published ones by their ids. Needs root. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TarSource } from '../../src/archive/index.ts';
import { isEngineError } from '../../src/errors/index.ts';
import { ArchiveDoors, chunks, dockerArchive } from '../fixtures/archive-doors.ts';
import { file, tarOf } from '../fixtures/tar-members.ts';
import { sha256 } from '../fixtures/registry.ts';

let doors: ArchiveDoors;
before(async () => {
  doors = await ArchiveDoors.open();
});
after(() => doors?.[Symbol.asyncDispose]());

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
};
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: object;
}

/** An OCI layout in the making: its blobs, and `index.json`. */
class Layout {
  readonly files = new Map<string, TarSource>();

  blob(content: string | Buffer | object, mediaType: string): Descriptor {
    const isBytes = typeof content === 'string' || Buffer.isBuffer(content);
    const bytes = Buffer.from(isBytes ? content : JSON.stringify(content));
    const digest = sha256(bytes);
    const path = `blobs/sha256/${digest.slice(7)}`;
    this.files.set(path, file(path, bytes));
    return { mediaType, digest, size: bytes.length };
  }

  image(more: object = {}, config: object = {}): Descriptor {
    const layer = this.blob(Buffer.alloc(1024), types.layer);
    const rootfs = { type: 'layers', diff_ids: [layer.digest] };
    return this.blob(
      {
        schemaVersion: 2,
        mediaType: types.manifest,
        config: this.blob({ architecture: 'amd64', os: 'linux', rootfs, ...config }, types.config),
        layers: [layer],
        ...more,
      },
      types.manifest,
    );
  }

  async archive(index: Descriptor | string, ...more: TarSource[]): Promise<Buffer> {
    const text = typeof index === 'string' ? index : JSON.stringify({ schemaVersion: 2, manifests: [index] });
    return await tarOf([...this.files.values(), file('index.json', text), ...more]);
  }
}

/** Each changes a layout that would be taken without the change. */
const layouts: readonly [name: string, make: (layout: Layout) => Promise<Buffer>][] = [
  ['an index.json that is no JSON', (layout) => layout.archive('{"manifests":[')],
  ['an index.json that is a list', (layout) => layout.archive('[]')],
  ['an index.json that is null', (layout) => layout.archive('null')],
  ['an index.json nested deep', (layout) => layout.archive(`{"manifests":${nested(100_000)}}`)],
  ['CVE-2023-25153: an index.json without end', (layout) => layout.archive(' '.repeat(9 * 2 ** 20))],
  [
    'CVE-2023-25153: a manifest of many megabytes',
    (layout) => layout.archive(layout.image({ annotations: { x: 'x'.repeat(9 * 2 ** 20) } })),
  ],
  [
    'a manifest nested deep',
    (layout) => layout.archive(layout.image({ x: JSON.parse(nested(500)) as unknown })),
  ],
  ['a negative size', (layout) => layout.archive({ ...layout.image(), size: -1 })],
  ['a size that is no whole number', (layout) => layout.archive({ ...layout.image(), size: 1.5 })],
  ['a size beyond numbers', (layout) => layout.archive({ ...layout.image(), size: 1e300 })],
  ['a size that is too small', (layout) => layout.archive({ ...layout.image(), size: 10 })],
  [
    'CVE-2024-3727: a digest that is a path',
    (layout) => layout.archive({ ...layout.image(), digest: 'sha256:../../../../etc/passwd' }),
  ],
  [
    'CVE-2024-3727: a digest with a newline',
    (layout) => layout.archive({ ...layout.image(), digest: 'sha256:a\n' }),
  ],
  ['CVE-2024-3727: no digest', (layout) => layout.archive({ ...layout.image(), digest: '' })],
  [
    'a digest of nothing',
    (layout) => layout.archive({ ...layout.image(), digest: sha256(Buffer.from('?')) }),
  ],
  [
    'CVE-2021-41190: a manifest that is an index, too',
    (layout) => layout.archive(layout.image({ manifests: [layout.image()] })),
  ],
  [
    'CVE-2021-41190: an index that is a manifest, too',
    (layout) => {
      const image = layout.image();
      const both = { schemaVersion: 2, manifests: [image], config: image, layers: [] };
      return layout.archive(layout.blob(both, types.index));
    },
  ],
  [
    'CVE-2021-41190: a manifest that says it is an index',
    (layout) => layout.archive(layout.image({ mediaType: types.index })),
  ],
  [
    'CVE-2021-41190: an index that says it is a manifest',
    (layout) =>
      layout.archive(layout.blob({ mediaType: types.manifest, manifests: [layout.image()] }, types.index)),
  ],
  [
    'an index in an index without end',
    (layout) => {
      let top = layout.image();
      for (let depth = 0; depth < 50; depth += 1) top = layout.blob({ manifests: [top] }, types.index);
      return layout.archive(top);
    },
  ],
  [
    'an index that is itself by a link',
    (layout) => {
      const index = layout.blob({ manifests: [] }, types.index);
      const path = `blobs/sha256/${index.digest.slice(7)}`;
      layout.files.set(path, { path, type: 'symlink', mode: 0o777, linkPath: '../../index.json' });
      return layout.archive(index);
    },
  ],
  [
    'blobs that are links to each other',
    (layout) => {
      const image = layout.image();
      const path = `blobs/sha256/${image.digest.slice(7)}`;
      layout.files.set(path, { path, type: 'symlink', mode: 0o777, linkPath: 'loop' });
      const loop = 'blobs/sha256/loop';
      return layout.archive(image, { path: loop, type: 'symlink', mode: 0o777, linkPath: path.slice(13) });
    },
  ],
  [
    'a blob that is a link to the host',
    (layout) => {
      const image = layout.image();
      const path = `blobs/sha256/${image.digest.slice(7)}`;
      layout.files.set(path, { path, type: 'symlink', mode: 0o777, linkPath: `${doors.outside}/secret` });
      return layout.archive(image);
    },
  ],
  ['more layers than diff ids', (layout) => layout.archive(layout.image({}, { rootfs: { diff_ids: [] } }))],
  [
    'a diff id that is another',
    (layout) => layout.archive(layout.image({}, { rootfs: { diff_ids: [sha256(Buffer.from('?'))] } })),
  ],
  [
    'labels that are not text',
    (layout) => layout.archive(layout.image({}, { config: { Labels: { a: {} } } })),
  ],
  ['a command that is not text', (layout) => layout.archive(layout.image({}, { config: { Cmd: [1] } }))],
  ['a history that is text', (layout) => layout.archive(layout.image({}, { history: 'x' }))],
];

async function isRefused(archive: Buffer): Promise<void> {
  const begun = performance.now();
  await assert.rejects(doors.take('load', archive), (error) => {
    assert.ok(isEngineError(error) && ['invalid-parameter', 'data-loss'].includes(error.kind), String(error));
    return error.message !== '';
  });
  assert.ok(performance.now() - begun < 60_000, 'in time, on a busy machine, too');
  assert.deepEqual(await doors.wrong(), []);
}

for (const [name, make] of layouts) {
  test(`load refuses ${name}`, async () => await isRefused(await make(new Layout())));
}

test('load takes the layout that the attacks begin with', async () => {
  const layout = new Layout();
  await doors.take('load', await layout.archive(layout.image()));
  assert.deepEqual(await doors.wrong(), []);
});

test('load goes through indexes of a hundred times the same index once', async () => {
  const layout = new Layout();
  let top = layout.image();
  for (let depth = 0; depth < 7; depth += 1) {
    top = layout.blob({ manifests: Array.from({ length: 100 }, () => top) }, types.index);
  }
  await doors.take('load', await layout.archive(top));
  assert.deepEqual(await doors.wrong(), []);
});

const manifestOf = (item: unknown): TarSource => file('manifest.json', JSON.stringify([item]));
const goodConfig = file('config.json', '{"architecture":"amd64","os":"linux","rootfs":{"diff_ids":[]}}');
const escaping = ['../../../../../../etc/hostname', '/etc/hostname', 'blobs/../../etc/hostname'];

const dockerArchives: readonly [name: string, members: readonly TarSource[]][] = [
  ...escaping.flatMap((path): [string, TarSource[]][] => [
    [`CVE-2014-9358: a configuration at ${path}`, [manifestOf({ Config: path, Layers: [] })]],
    [
      `CVE-2014-9358: a layer at ${path}`,
      [
        file('config.json', '{"rootfs":{"diff_ids":["sha256:' + '0'.repeat(64) + '"]}}'),
        manifestOf({ Config: 'config.json', Layers: [path] }),
      ],
    ],
  ]),
  [
    'CVE-2014-9358: a tag that is a path',
    [goodConfig, manifestOf({ Config: 'config.json', RepoTags: ['../../../etc:x'], Layers: [] })],
  ],
  [
    'CVE-2014-9358: a tag that is an id',
    [
      goodConfig,
      manifestOf({ Config: 'config.json', RepoTags: [`sha256:${'0'.repeat(64)}/../x:1`], Layers: [] }),
    ],
  ],
  ['a manifest.json of numbers', [file('manifest.json', '[1,2]')]],
  ['a manifest.json that is too long', [file('manifest.json', `[${'{},'.repeat(20_000)}{}]`)]],
  [
    'a manifest.json that is a link to the host',
    [{ path: 'manifest.json', type: 'symlink', mode: 0, linkPath: '/etc/hostname' }],
  ],
  ['nothing that is an image', [file('x')]],
];

for (const [name, members] of dockerArchives) {
  test(`load refuses ${name}`, async () => await isRefused(await tarOf(members)));
}

test('load refuses more members than there may be', async () => {
  const member = (await tarOf([file('x', '')])).subarray(0, 512);
  await isRefused(Buffer.concat(Array.from({ length: 100_001 }, () => member)));
});

test('CVE-2014-5282, CVE-2014-8178: a layer is known by its content, not by a name that the archive gives it', async () => {
  const first = await dockerArchive([await tarOf([file('which', 'first')])]);
  const second = await dockerArchive([await tarOf([file('which', 'second')])]);
  const load = async (archive: Buffer): Promise<string[]> => {
    const { ids } = await doors.images.load(chunks(archive), {});
    return ids;
  };
  const [one = '', two = ''] = [...(await load(first)), ...(await load(second))];
  assert.notEqual(doors.images.get(one).chainId, doors.images.get(two).chainId);
  await doors.remove(one);
  await doors.remove(two);
  assert.deepEqual(await doors.wrong(), []);
});

test('CVE-2024-36620: a history that does not fit the layers, or tells nothing, can be read', async () => {
  const histories = [
    [],
    [{}],
    [{ created: null }, { created: 'never', created_by: null }],
    Array.from({ length: 1000 }, () => ({ empty_layer: false })),
  ];
  for (const history of histories) {
    const archive = await dockerArchive([await tarOf([file('x')])], { history });
    const { ids } = await doors.images.load(chunks(archive), {});
    const [id = ''] = ids;
    const told = doors.images.history(id);
    assert.equal(told.length, history.length);
    for (const { created, createdBy } of told) assert.deepEqual([created, createdBy], [0, '']);
    await doors.remove(id);
  }
  assert.deepEqual(await doors.wrong(), []);
});

test('CVE-2024-36621: layers that several unpack at once are there once and whole, whoever gives up', async () => {
  const layers = await Promise.all(['a', 'b', 'c'].map((name) => tarOf([file(name, Buffer.alloc(200_000))])));
  const archive = await dockerArchive(layers);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 9 }, async (_, at) => {
      const signal = at % 2 === 0 ? AbortSignal.timeout(at * 5) : AbortSignal.any([]);
      return await doors.images.load(chunks(archive), { signal });
    }),
  );
  const loaded = outcomes.filter(({ status }) => status === 'fulfilled');
  assert.ok(loaded.length >= 4, 'whoever did not give up has the image');
  await doors.remove('box:1');
  assert.deepEqual(await doors.wrong(), []);
});
