import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { readTar } from '../archive/index.ts';
import { bootstrapName } from './base-image.ts';
import { isBuildContext } from './build.ts';
import { packContext, type ExtraFile } from './context.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'coracle-context-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function put(path: string, text = ''): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
}

async function names(dockerfile = 'Dockerfile', extra: ExtraFile[] = []): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of readTar(packContext(directory, dockerfile, extra))) {
    assert.equal(entry.uid, 0);
    found.push(entry.path.replace(/\/$/, ''));
  }
  return found;
}

test('packContext() packs everything, links as links', async () => {
  put('Dockerfile');
  put('d/f', 'x');
  symlinkSync('f', join(directory, 'd/l'));
  assert.deepEqual(await names(), ['Dockerfile', 'd', 'd/f', 'd/l']);
});

test('packContext() leaves out what .dockerignore excludes, but never the Dockerfile', async () => {
  for (const path of ['Dockerfile', 'a.log', 'keep', 'd/in', 'd/out', 'e/x']) put(path);
  put('.dockerignore', '*.log\nDockerfile\nd\n!d/in\ne\n');
  assert.deepEqual(await names(), ['.dockerignore', 'Dockerfile', 'd/in', 'keep']);
});

test('packContext() prefers the ignore file of the Dockerfile, and adds files from elsewhere', async () => {
  for (const path of ['sub/x.Dockerfile', 'a', 'b']) put(path);
  put('.dockerignore', 'a\n');
  put('sub/x.Dockerfile.dockerignore', 'b\nsub\n');
  const extra = [{ name: 'extra', content: Buffer.from('e') }];
  const found = await names('sub/x.Dockerfile', extra);
  assert.deepEqual(
    found.filter((name) => name !== 'sub'),
    ['extra', '.dockerignore', 'a', 'sub/x.Dockerfile', 'sub/x.Dockerfile.dockerignore'],
  );
});

test('isBuildContext() knows directories with a Dockerfile or Containerfile', () => {
  assert.equal(isBuildContext(directory), false);
  put('Containerfile');
  assert.equal(isBuildContext(directory), true);
  assert.equal(isBuildContext(join(directory, 'Containerfile')), false);
});

test('bootstrapName() knows the base images that can be made here', () => {
  assert.equal(bootstrapName('busybox'), 'busybox');
  assert.equal(bootstrapName('docker.io/library/busybox:latest'), 'busybox');
  assert.equal(bootstrapName('debian:bookworm'), 'debian:bookworm');
  for (const other of ['busybox:1.36', 'debian', 'alpine', 'example.com/busybox', 'Bad:Name']) {
    assert.equal(bootstrapName(other), undefined, other);
  }
});
