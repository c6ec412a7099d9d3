/** Graphs of operations given to the solver as another front end would give them: what a Dockerfile has no word for. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LayerUnpacker, writeTar } from '../../src/archive/index.ts';
import type { BuilderOptions, BuilderParts } from '../../src/builder/index.ts';
import { KeptContexts } from '../../src/builder/context/kept-contexts.ts';
import { SourceFiles } from '../../src/builder/context/source-files.ts';
import type { Vertex } from '../../src/builder/graph/operation.ts';
import { CacheMounts } from '../../src/builder/ops/cache-mounts.ts';
import { BuildCache } from '../../src/builder/solver/cache.ts';
import { BuildSession } from '../../src/builder/solver/session.ts';
import { Solver } from '../../src/builder/solver/solver.ts';
import { linuxSyscall } from '../../src/sys/index.ts';
import { openTestImages, type ImageStores } from './images-stores.ts';

const root = mkdtempSync(join(tmpdir(), 'build-graph-'));
const unpacker = new LayerUnpacker();
let stores: ImageStores;
let session: BuildSession;
let base: Vertex;

before(async () => {
  stores = await openTestImages(root, unpacker);
  const { images, records, snapshotter } = stores;
  const cache = new BuildCache(records, images.trees);
  const parts = { images, records, snapshotter, syscall: linuxSyscall() } as unknown as BuilderParts;
  const services = {
    parts,
    options: {} as BuilderOptions,
    cache,
    keptContexts: new KeptContexts(root, () => undefined),
    cacheMounts: new CacheMounts(join(root, 'mounts'), records),
    solver: new Solver(images, cache),
  };
  session = new BuildSession(
    services,
    {},
    {
      directory: root,
      sentDirectory: root,
      locals: new Map(),
      files: new SourceFiles(new Map()),
      signal: new AbortController().signal,
    },
  );
  const files = ['a', 'b'].map((path) => ({
    path,
    type: 'file' as const,
    mode: 0o644,
    sizeBytes: 1,
    body: [Buffer.from(path)],
  }));
  const image = await images.import(writeTar(files), {});
  base = vertex({ kind: 'source', from: 'image', imageId: image.id }, []);
});

after(async () => {
  session.close();
  stores.records[Symbol.dispose]();
  await unpacker.close();
  await stores.snapshotter.close();
  rmSync(root, { recursive: true, force: true });
});

function vertex(operation: Vertex['operation'], inputs: Vertex['inputs']): Vertex {
  return { operation, inputs, ignoresCache: false, name: operation.kind };
}

/** Writes a text to a file of a tree. */
function write(below: Vertex | null, path: string, content: string): Vertex {
  const action = {
    kind: 'copy',
    instruction: 'COPY',
    sources: [],
    texts: [{ name: path, content }],
    destination: '/',
    workingDirectory: '/',
    chown: '',
    chmod: '',
    exclude: [],
    keepsParents: false,
    unpack: undefined,
  } as const;
  return vertex({ kind: 'file', action }, [below]);
}

async function solve(wanted: Vertex): Promise<{ layers: number; read: (path: string) => string | null }> {
  const result = await session.services.solver.solve(session, wanted);
  assert.equal(result.kind, 'tree');
  const { stack } = result as Extract<typeof result, { kind: 'tree' }>;
  const view = session.view(stack?.chainId ?? null);
  return {
    layers: stack === null ? 0 : stores.images.trees.layersOf(stack).length,
    read: (path) => (existsSync(join(view, path)) ? readFileSync(join(view, path), 'utf8') : null),
  };
}

test('merge puts the layers of its inputs on each other', async () => {
  const inputs = [base, write(null, 'a', 'A'), write(write(null, 'c', 'C'), 'd', 'D')];
  const { layers, read } = await solve(vertex({ kind: 'merge' }, inputs));
  assert.equal(layers, 4);
  assert.deepEqual(['a', 'b', 'c', 'd'].map(read), ['A', 'b', 'C', 'D']);
});

test('diff of a tree and one on top of it are the layers between', async () => {
  const upper = write(write(base, 'c', 'C'), 'a', 'A');
  const { layers, read } = await solve(vertex({ kind: 'diff' }, [base, upper]));
  assert.equal(layers, 2);
  assert.deepEqual(['a', 'b', 'c'].map(read), ['A', null, 'C']);
});

test('diff of other trees is what differs; its deletions count where it is merged', async () => {
  const lower = write(write(null, 'x', '1'), 'y', '2');
  const upper = write(write(null, 'y', 'other'), 'z', '3');
  const diff = vertex({ kind: 'diff' }, [lower, upper]);
  assert.deepEqual(['y', 'z'].map((await solve(diff)).read), ['other', '3']);
  const merged = await solve(
    vertex({ kind: 'merge' }, [write(write(null, 'x', 'gone'), 'w', 'stays'), diff]),
  );
  assert.deepEqual(['w', 'x', 'y', 'z'].map(merged.read), ['stays', null, 'other', '3']);
});

test('the same operations are the same vertex, whoever asks', async () => {
  const first = await session.services.solver.solve(session, write(base, 'same', 'S'));
  const second = await session.services.solver.solve(session, write(base, 'same', 'S'));
  assert.ok(first.kind === 'tree' && second.kind === 'tree');
  assert.equal(first.isCached, false);
  assert.equal(second.isCached, true);
  assert.equal(first.identity, second.identity);
});
