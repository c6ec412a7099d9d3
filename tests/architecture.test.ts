import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

/** Rooms by height: imports point to lower ones only. */
const heights: Record<string, number> = {
  errors: 0,
  spec: 1,
  sys: 2,
  archive: 3,
  content: 3,
  records: 3,
  events: 3,
  logs: 3,
  registry: 4,
  snapshots: 4,
  runtime: 4,
  network: 4,
  volumes: 4,
  client: 4,
  images: 5,
  containers: 6,
  builder: 6,
  engine: 7,
  api: 8,
  daemon: 9,
};
/** The command line and its client know the engine by its API alone. */
const clientRooms: Record<string, string[]> = {
  client: ['errors', 'spec', 'archive'],
  cli: ['errors', 'spec', 'archive', 'client'],
};
const root = fileURLToPath(new URL('..', import.meta.url));

test('rooms import lower rooms only, through their index', () => {
  const wrong: string[] = [];
  const files = globSync('src/**/*.ts', { cwd: root });
  assert.ok(files.length > 40, 'the source tree was found');
  for (const file of files) {
    const room = file.split('/')[1] ?? '';
    if (file.split('/').length < 3) continue;
    const text = readFileSync(join(root, file), 'utf8');
    for (const match of text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
      const target = normalize(join(dirname(file), match[1] ?? ''));
      const other = target.split('/')[1] ?? '';
      if (!target.startsWith('src/') || other === room) continue;
      const allowed =
        room in clientRooms
          ? clientRooms[room]?.includes(other)
          : (heights[other] ?? Infinity) < (heights[room] ?? -1);
      if (allowed !== true) wrong.push(`${file} must not import ${other}`);
      if (target !== `src/${other}/index.ts`)
        wrong.push(`${file} reaches past the index of ${other}: ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('every room has an index and a height', () => {
  const rooms = new Set(globSync('src/*/*.ts', { cwd: root }).map((file) => file.split('/')[1] ?? ''));
  for (const room of rooms) {
    assert.ok(room in heights || room in clientRooms, `src/${room} has a place in the order`);
  }
});

test('public source names no machine and no registry host', () => {
  const found: string[] = [];
  const pattern = new RegExp(
    ['(^|[^a-z])/wo' + 'rk/[a-z.]+/?', '/tmp' + '/w/', 'registry-' + '1\\.', 'deb\\.' + 'debian'].join('|'),
  );
  for (const file of globSync(['src/**/*', 'tests/**/*', 'docs/**/*', 'bench/**/*', 'scripts/**/*', '*.md'], {
    cwd: root,
  })) {
    if (!/\.(ts|md|sh|json)$/.test(file)) continue;
    if (pattern.test(readFileSync(join(root, file), 'utf8'))) found.push(file);
  }
  assert.deepEqual(found, []);
});
