import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cli } from '../../cli.ts';
import type { ImageSummary } from './ls.ts';
import { printTree } from './tree.ts';

const summary = (id: string, RepoTags: string[], more: Partial<ImageSummary>): ImageSummary => ({
  Id: `sha256:${id.repeat(64)}`,
  RepoTags,
  RepoDigests: [],
  Created: 0,
  Size: 2_000_000,
  SharedSize: -1,
  Containers: 0,
  Labels: null,
  ...more,
});

function tree(images: readonly ImageSummary[], isTerminal = false): string {
  let text = '';
  const cli = { out: (data: string) => (text += data), isTerminal: () => isTerminal };
  printTree(cli as unknown as Cli, images);
  return text.replace(/ +$/gm, '');
}

const manifest = (
  id: string,
  architecture: string,
  Available: boolean,
  Containers: string[] | null = null,
) => ({
  ID: `sha256:${id.repeat(64)}`,
  Kind: 'image',
  Available,
  Size: { Content: Available ? 1_000_000 : 0, Total: Available ? 3_000_000 : 0 },
  ImageData: { Platform: { os: 'linux', architecture }, Containers },
});

test('printTree() shows the platforms of each image, and which are used', () => {
  const attestation = { ID: 'x', Kind: 'attestation', Available: true, Size: { Content: 500, Total: 500 } };
  const images = [
    summary('a', ['b:2', 'a:1'], {
      Manifests: [manifest('1', 'amd64', true, ['c']), manifest('2', 'arm64', false), attestation],
    }),
    summary('b', [], { Size: 10, Manifests: null }),
  ];
  assert.equal(
    tree(images),
    [
      'IMAGE            ID             DISK USAGE   CONTENT SIZE   EXTRA',
      'a:1',
      'b:2              aaaaaaaaaaaa          2MB            1MB   U',
      '├─ linux/amd64   111111111111          3MB            1MB   U',
      '└─ linux/arm64   222222222222           0B             0B',
      '',
      '<untagged>       bbbbbbbbbbbb          10B             0B',
      '',
    ].join('\n'),
  );
  assert.ok(tree(images, true).includes('\x1b[2m└─ linux/arm64'));
});
