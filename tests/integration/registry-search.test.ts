/** `search` by the API and by our command line, against a registry with Docker's search service. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TestDaemon } from '../fixtures/daemon.ts';
import { TestRegistry } from '../fixtures/registry.ts';

const bundle = fileURLToPath(new URL('../../dist/cli.cjs', import.meta.url));
const user = { username: 'ann', password: 'secret' };

describe('search', () => {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-search-'));
  let daemon: TestDaemon;
  let registry: TestRegistry;

  before(async () => {
    daemon = await TestDaemon.start();
    registry = await TestRegistry.start({ auth: { kind: 'basic', ...user } });
    const common = { is_official: false, is_automated: true };
    registry.found = [
      { ...common, name: 'team/app', description: 'Runs\neverywhere', star_count: 7 },
      { ...common, name: 'team/base', description: '', star_count: 50, is_official: true },
    ];
  });
  after(async () => {
    await daemon?.dispose();
    await registry?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  test('shows the credentials of the registry in front of the term, and filters what comes', async () => {
    const auth = Buffer.from(`${user.username}:${user.password}`).toString('base64');
    writeFileSync(join(directory, 'config.json'), JSON.stringify({ auths: { [registry.domain]: { auth } } }));
    const env = { ...process.env, CORACLE_HOST: daemon.host, DOCKER_CONFIG: directory };
    const search = async (...argv: string[]): Promise<string> => {
      const words = [
        bundle,
        'search',
        ...argv,
        '--format',
        '{{.Name}} {{.StarCount}} {{.IsOfficial}} {{.IsAutomated}}',
      ];
      return (await promisify(execFile)(process.execPath, words, { env })).stdout;
    };
    const term = `${registry.domain}/library/app`;
    assert.equal(await search('--limit', '3', term), 'team/app 7  \nteam/base 50 [OK] \n');
    assert.equal(registry.count('GET', /^\/v1\/search\?q=library%2Fapp&n=3$/), 1);
    assert.equal(await search('-f', 'is-official=true', term), 'team/base 50 [OK] \n');
    assert.equal(await search('-f', 'stars=10', '-f', 'stars=3', term), 'team/base 50 [OK] \n');
    assert.equal(await search('-f', 'is-automated=true', term), '');
  });

  for (const [query, status, message] of [
    [
      'term=https://example.org/x',
      400,
      /repository name \(https:\/\/example.org\/x\) should not have a scheme/,
    ],
    ['term=x&limit=101', 400, /limit 101 is outside the range of \[1, 100\]/],
    ['term=x&filters={"stars":["many"]}', 400, /invalid filter 'stars=many': strconv.Atoi/],
    ['term=x&filters={"colour":["red"]}', 400, /invalid filter 'colour'/],
    ['term=HERE/x', 500, /Unexpected status code 401/],
  ] as const) {
    test(`fails for ${query}`, async () => {
      const answer = await daemon.call('GET', `/images/search?${query.replace('HERE', registry.domain)}`);
      assert.equal(answer.status, status, answer.text);
      assert.match((answer.body as { message: string }).message, message);
    });
  }
});
