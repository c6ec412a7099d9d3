/** What becomes of the build cache: what df tells of it, what prune removes by which filter and space, and what goes by itself. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { buildThrough, callApi, contextOf } from '../fixtures/build-case.ts';
import { runCli } from '../fixtures/build-cli.ts';
import { TestDaemon } from '../fixtures/daemon.ts';

interface CacheRecord {
  ID: string;
  Parents?: string[];
  Type: string;
  Description: string;
  InUse: boolean;
  Shared: boolean;
  Size: number;
  CreatedAt: string;
  LastUsedAt: string | null;
  UsageCount: number;
}

let daemon: TestDaemon;

before(async () => {
  daemon = await TestDaemon.start();
  importBaseImage(daemon.host);
});

after(() => daemon?.dispose());

async function build(steps: string, tag?: string): Promise<string> {
  const context = await contextOf({ Dockerfile: `FROM ${baseImage}\n${steps}` });
  const { imageId, error, output } = await buildThrough(
    daemon.socket,
    context,
    tag === undefined ? {} : { t: tag },
  );
  assert.equal(error, undefined, output);
  if (tag === undefined) await callApi(daemon.socket, 'DELETE', `/images/${imageId}`);
  return imageId;
}

async function records(): Promise<CacheRecord[]> {
  const { body } = await callApi(daemon.socket, 'GET', '/v1.47/system/df?type=build-cache');
  return (JSON.parse(body.toString()) as { BuildCache: CacheRecord[] }).BuildCache;
}

/** What a prune removes, by the last word of each record's description, and what it says. */
async function prune(...words: string[]): Promise<{ gone: string[]; stdout: string; stderr: string }> {
  const earlier = await records();
  const { stdout, stderr } = await runCli(daemon.host, ['builder', 'prune', '-f', ...words]);
  const left = new Set((await records()).map(({ ID }) => ID));
  const gone = earlier.filter(({ ID }) => !left.has(ID)).map(({ Description }) => wordOf(Description));
  return { gone: gone.toSorted(), stdout: stdout.toString(), stderr };
}

function wordOf(description: string): string {
  return description.split(' ').at(-1) ?? '';
}

/** One step that an image has, two that none has, one on the other, and a cache mount. */
async function fill(): Promise<void> {
  await runCli(daemon.host, ['builder', 'prune', '-af']);
  await build('RUN head -c 1000000 /dev/zero > /named\n', 'cache-life');
  await build('RUN head -c 2000000 /dev/zero > /lower\nRUN head -c 3000000 /dev/zero > /upper\n');
  await build('RUN --mount=type=cache,id=m,target=/m head -c 500000 /dev/zero > /m/f\n');
}

const mountStep = '/m/f';

describe('the build cache', () => {
  test('GET /system/df and `system df -v` tell of each record', async () => {
    await fill();
    await build('RUN head -c 2000000 /dev/zero > /lower\n');
    const found = await records();
    const of = (word: string): CacheRecord | undefined =>
      found.find(({ Description }) => Description.endsWith(word));
    const [named, lower, upper, mount] = ['/named', '/lower', '/upper', '"m"'].map(of);
    assert.deepEqual(
      [named?.Shared, lower?.Shared, lower?.UsageCount, upper?.UsageCount],
      [true, false, 1, 0],
    );
    assert.deepEqual(upper?.Parents, [lower?.ID]);
    assert.ok((upper?.Size ?? 0) >= 3_000_000 && (lower?.Size ?? 0) >= 2_000_000);
    assert.ok(Date.parse(lower?.LastUsedAt ?? '') >= Date.parse(lower?.CreatedAt ?? ''));
    assert.equal(upper?.LastUsedAt, null);
    assert.deepEqual([mount?.Type, mount?.InUse], ['exec.cachemount', false]);
    assert.match(
      mount?.Description ?? '',
      /^cached mount \/m .* with id "m"$|^cached mount \/m with id "m"$/,
    );
    assert.ok((mount?.Size ?? 0) >= 500_000);
    for (const { ID, Type } of found) {
      assert.match(ID, /^[a-z0-9]{25}$/);
      assert.match(Type, /^(?:regular|exec\.cachemount)$/);
    }
    const { stdout } = await runCli(daemon.host, ['system', 'df', '-v']);
    const shown = stdout.toString();
    assert.match(
      shown,
      /\nBuild cache usage: \d+(?:\.\d+)?MB\n\nCACHE ID +CACHE TYPE +SIZE +CREATED +LAST USED +USAGE +SHARED\n/,
    );
    assert.match(
      shown,
      new RegExp(`${lower?.ID.slice(0, 11)}… +regular +4[.\\d]*MB +\\S.* ago +\\S.* ago +1 +false`),
    );
    const summary = (await runCli(daemon.host, ['system', 'df'])).stdout.toString();
    assert.match(summary, new RegExp(`Build Cache +${found.length} +0 +`));
  });

  test('builder prune removes what filters say, and says what it did', async () => {
    await fill();
    const [upper] = (await records()).filter(({ Description }) => Description.endsWith('/upper'));
    for (const [filter, expected] of [
      ['until=1h', []],
      ['inuse=true', []],
      ['shared=true', []],
      ['label=a=b', []],
      ['description=nothing', []],
      ['type=exec.cachemount', ['"m"']],
      [`id=${upper?.ID.slice(0, 12)}`, ['/upper']],
      ['mutable=false', ['/lower', mountStep]],
    ] as const) {
      const { gone, stderr } = await prune('--filter', filter);
      assert.deepEqual([gone, stderr], [expected, ''], filter);
    }
    await fill();
    const { gone, stdout } = await prune('--filter', 'private=true');
    assert.deepEqual(gone, ['"m"', '/lower', mountStep, '/upper'].toSorted());
    assert.match(
      stdout,
      /^Deleted build cache objects:\n(?:[a-z0-9]{25}\n){4}\nTotal reclaimed space: \d+(?:\.\d+)?MB\n$/,
    );
    assert.deepEqual((await prune('-a', '--filter', 'shared=true')).gone, ['/named']);
    for (const [filters, problem] of [
      [['until=1h', 'unused-for=2h'], 'conflicting filters: "until" and "unused-for"'],
      [['until=soon'], `"until" filter expects a duration (e.g., '24h') or a timestamp`],
      [['id=a', 'id=b'], 'filters expect only one value'],
      [['nonsense=1'], "invalid filter 'nonsense'"],
    ] as const) {
      const { stderr } = await prune(...filters.flatMap((filter) => ['--filter', filter]));
      assert.ok(stderr.includes(problem), stderr);
    }
  });

  test('builder prune keeps the space that it is told', async () => {
    await fill();
    assert.deepEqual((await prune('--reserved-space', '1g')).gone, []);
    assert.deepEqual((await prune('--keep-storage', '1g')).gone, []);
    assert.deepEqual((await prune('--max-used-space', '1g')).gone, []);
    assert.deepEqual((await prune('--min-free-space', '1')).gone, []);
    // A layer and its blob: the two steps take 10 MB. What lies on others goes first, so that there is room then.
    const { gone, stdout } = await prune('--max-used-space', '8m');
    assert.deepEqual(gone, ['/upper']);
    assert.match(stdout, /Total reclaimed space: 6\.\d+MB/);
    assert.deepEqual((await prune('--max-used-space', '1m', '--reserved-space', '100m')).gone, []);
    // Before API 1.48 there was no such parameter.
    const old = await callApi(
      daemon.socket,
      'POST',
      '/v1.47/build/prune?max-used-space=1&keep-storage=1000000000',
    );
    assert.equal((JSON.parse(old.body.toString()) as { CachesDeleted: null }).CachesDeleted, null);
    const full = await prune('--min-free-space', '1000000g');
    assert.deepEqual(full.gone, ['"m"', '/lower'], 'all that takes space');
  });
});

describe('`builder.gc` of daemon.json', () => {
  /** An engine with this configuration, after a build at whose end it looks what is too much. */
  async function collected(gc: object): Promise<string[]> {
    await fill();
    await daemon.stop();
    const file = join(daemon.directory, 'daemon.json');
    writeFileSync(file, JSON.stringify({ builder: { gc } }));
    await daemon.start(['--config-file', file]);
    const earlier = await records();
    await build('RUN true\n');
    // The engine ends what it has begun.
    await daemon.stop();
    await daemon.start();
    const left = new Set((await records()).map(({ ID }) => ID));
    return earlier.flatMap(({ ID, Description }) => (left.has(ID) ? [] : [wordOf(Description)])).toSorted();
  }

  test('policy: rule by rule', async () => {
    const policy = [
      { filter: ['unused-for=1h'] },
      { filter: { type: { 'exec.cachemount': true } } },
      { all: true, maxUsedSpace: '8MB', keepStorage: '1MB' },
    ];
    assert.deepEqual(await collected({ policy }), ['"m"', '/upper']);
  });

  test('a default size, and not at all', async () => {
    const size = { defaultKeepStorage: '100MB', enabled: true };
    assert.deepEqual(await collected(size), []);
    assert.deepEqual(await collected({ defaultReservedSpace: '8MB' }), ['/upper']);
    assert.deepEqual(await collected({ enabled: false, defaultReservedSpace: '1MB' }), []);
  });
});
