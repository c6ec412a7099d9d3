import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseCsv } from './csv.ts';
import { parseDuration } from './duration.ts';
import { parseEnv, readKeyValueFile } from './env.ts';
import { parseDevice, parseGpus, parseRestartPolicy, parseThrottleBps, parseUlimit } from './limits.ts';
import { parseMount, parseVolume } from './mount.ts';
import { filterArgs, filtersQuery, parseExtraHost } from './names.ts';
import { endpointsConfig, parseNetwork } from './network.ts';
import { parseExpose, parsePublish } from './ports.ts';
import { familiar, parseReference } from './reference.ts';
import { parseCpus, parseSize, parseSwapSize } from './size.ts';
import { apiTime } from './time.ts';

const made: string[] = [];
after(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** A directory that goes when the tests end. */
function temporary(prefix: string): string {
  const path = mkdtempSync(prefix);
  made.push(path);
  return path;
}

const refuses = (act: () => unknown, message: string): void => assert.throws(act, { message });

test('parseSize() knows units and their spellings', () => {
  assert.deepEqual(['5', '5b', '1k', '1KB', '1.5GiB', '2 m'].map(parseSize), [
    5,
    5,
    1024,
    1024,
    1.5 * 2 ** 30,
    2 * 2 ** 20,
  ]);
  refuses(() => parseSize('5xyz'), "invalid suffix: 'xyz'");
  refuses(() => parseSize('foo'), "invalid size: 'foo'");
  refuses(() => parseSize('-1'), "invalid size: '-1'");
  assert.equal(parseSwapSize('-1'), -1);
});

test('parseCpus() gives billionths exactly', () => {
  assert.deepEqual(['1', '0.5', '1.000000001', '1/4'].map(parseCpus), [1e9, 5e8, 1_000_000_001, 25e7]);
  refuses(() => parseCpus('0.0000000001'), 'value is too precise');
  refuses(() => parseCpus('x'), 'failed to parse x as a rational number');
});

test('parseDuration() is Go’s', () => {
  assert.deepEqual(
    ['1h30m', '1.5s', '300ms', '0', '-2us'].map(parseDuration),
    [5.4e12, 1.5e9, 3e8, 0, -2000],
  );
  refuses(() => parseDuration('5'), 'time: missing unit in duration "5"');
  refuses(() => parseDuration('5y'), 'time: unknown unit "y" in duration "5y"');
});

test('parseCsv() follows the quoting rules', () => {
  assert.deepEqual(parseCsv('a,"b,c","d""e",'), ['a', 'b,c', 'd"e', '']);
  assert.throws(() => parseCsv('a"b'), /bare "/);
});

test('parseEnv() takes a bare name from our environment', () => {
  process.env['CORACLE_TEST_VARIABLE'] = 'v';
  assert.equal(parseEnv('CORACLE_TEST_VARIABLE'), 'CORACLE_TEST_VARIABLE=v');
  assert.equal(parseEnv('CORACLE_TEST_ABSENT'), 'CORACLE_TEST_ABSENT');
  refuses(() => parseEnv('=x'), 'invalid environment variable: =x');
});

test('readKeyValueFile() skips comments and looks bare names up', () => {
  const file = join(temporary(join(tmpdir(), 'coracle-env-')), 'env');
  writeFileSync(file, '\ufeff# comment\n\n  A=1 \nB\nC\n');
  assert.deepEqual(
    readKeyValueFile(file, (name) => (name === 'B' ? '2' : undefined)),
    ['A=1 ', 'B=2'],
  );
  writeFileSync(file, 'A B=1\n');
  refuses(
    () => readKeyValueFile(file, null),
    `invalid env file (${file}): variable 'A B' contains whitespaces`,
  );
});

test('parsePublish() expands ranges and keeps a free choice free', () => {
  const { exposed, bindings } = parsePublish([
    '127.0.0.1:8000-8001:80-81/udp',
    '[::1]:90:90',
    '70',
    '3000-3002:30',
    'published=5,target=6',
  ]);
  assert.deepEqual(bindings, {
    '80/udp': [{ HostIp: '127.0.0.1', HostPort: '8000' }],
    '81/udp': [{ HostIp: '127.0.0.1', HostPort: '8001' }],
    '90/tcp': [{ HostIp: '::1', HostPort: '90' }],
    '70/tcp': [{ HostIp: '', HostPort: '' }],
    '30/tcp': [{ HostIp: '', HostPort: '3000-3002' }],
    '6/tcp': [{ HostIp: '', HostPort: '5' }],
  });
  parseExpose(['99-100/udp'], exposed);
  assert.ok(exposed['99/udp'] && exposed['100/udp'] && exposed['70/tcp']);
  refuses(() => parsePublish(['x']), 'invalid containerPort: x');
  refuses(() => parsePublish(['80:80:80:80']), 'invalid IP address: 80:80');
  refuses(
    () => parsePublish(['1-3:1-2']),
    'invalid ranges specified for container and host Ports: 1-2 and 1-3',
  );
  refuses(() => parsePublish(['80/foo']), 'invalid proto: foo');
});

test('parseMount() reads every kind and refuses mixtures', () => {
  assert.deepEqual(parseMount('type=bind,src=/a,dst=/b,ro,bind-propagation=rshared'), {
    Type: 'bind',
    Source: '/a',
    Target: '/b',
    ReadOnly: true,
    BindOptions: { Propagation: 'rshared' },
  });
  assert.deepEqual(parseMount('dst=/v,volume-nocopy,volume-opt=a=b'), {
    Type: 'volume',
    Target: '/v',
    VolumeOptions: { Labels: {}, DriverConfig: { Options: { a: 'b' } }, NoCopy: true },
  });
  assert.deepEqual(parseMount('type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770'), {
    Type: 'tmpfs',
    Target: '/t',
    TmpfsOptions: { SizeBytes: 2 ** 20, Mode: 0o1770 },
  });
  refuses(() => parseMount('type=bind'), 'target is required');
  refuses(() => parseMount('foo'), "invalid field 'foo' must be a key=value pair");
  refuses(
    () => parseMount('type=bind,dst=/x,tmpfs-size=1m'),
    "cannot mix 'tmpfs-*' options with mount type 'bind'",
  );
});

test('parseVolume() tells binds from anonymous volumes', () => {
  assert.deepEqual(parseVolume('/data'), { kind: 'anonymous', target: '/data' });
  assert.deepEqual(parseVolume('name:/data:ro'), { kind: 'bind', bind: 'name:/data:ro' });
  assert.deepEqual(parseVolume('./x:/y'), { kind: 'bind', bind: `${process.cwd()}/x:/y` });
  refuses(() => parseVolume('/a::/b'), 'invalid spec: /a::/b: empty section between colons');
});

test('limits are parsed with docker’s errors', () => {
  assert.deepEqual(parseUlimit('nofile=10:20'), { Name: 'nofile', Soft: 10, Hard: 20 });
  refuses(
    () => parseUlimit('nofile=5:4'),
    'ulimit soft limit must be less than or equal to hard limit: 5 > 4',
  );
  assert.deepEqual(parseDevice('/dev/a:/dev/b:rw'), {
    PathOnHost: '/dev/a',
    PathInContainer: '/dev/b',
    CgroupPermissions: 'rw',
  });
  assert.deepEqual(parseDevice('/dev/a:r'), {
    PathOnHost: '/dev/a',
    PathInContainer: '/dev/a',
    CgroupPermissions: 'r',
  });
  assert.deepEqual(parseThrottleBps('/dev/sda:1mb'), { Path: '/dev/sda', Rate: 2 ** 20 });
  assert.deepEqual(parseRestartPolicy('on-failure:3'), { Name: 'on-failure', MaximumRetryCount: 3 });
  assert.deepEqual(parseGpus('all').Count, -1);
  assert.equal(parseExtraHost('a=::1'), 'a:::1');
});

test('parseNetwork() and endpointsConfig() agree with docker', () => {
  const network = parseNetwork('name=n,alias=x,ip=10.0.0.2');
  const none = { aliases: [], links: [], ipv4: '', ipv6: '', mac: '', linkLocal: [] };
  assert.deepEqual(endpointsConfig([network], none), {
    n: { Aliases: ['x'], IPAMConfig: { IPv4Address: '10.0.0.2' } },
  });
  assert.deepEqual(endpointsConfig([parseNetwork('plain')], none), {});
  refuses(
    () => endpointsConfig([parseNetwork('host')], { ...none, aliases: ['a'] }),
    'network-scoped aliases are only supported for user-defined networks',
  );
  refuses(
    () => endpointsConfig([parseNetwork('a'), parseNetwork('host')], none),
    'conflicting options: cannot attach both user-defined and non-user-defined network-modes',
  );
});

test('parseReference() normalises names', () => {
  assert.equal(familiar(parseReference('docker.io/library/busybox')!), 'busybox:latest');
  assert.equal(familiar(parseReference('localhost:5000/a/b:t')!), 'localhost:5000/a/b:t');
  assert.equal(parseReference('a'.repeat(64)), null);
  refuses(
    () => parseReference('Foo'),
    'invalid reference format: repository name (library/Foo) must be lowercase',
  );
  refuses(() => parseReference('a b'), 'invalid reference format');
});

test('filtersQuery() groups values by name', () => {
  assert.equal(
    filtersQuery(filterArgs(['label=a=b', 'label=c', 'name=x'])),
    '{"label":{"a=b":true,"c":true},"name":{"x":true}}',
  );
  assert.equal(filtersQuery({}), undefined);
});

test('apiTime() understands times, dates and durations', () => {
  assert.equal(apiTime('10.5'), '10.5');
  assert.equal(apiTime('42m', 10_000_000_000), String(10_000_000 - 42 * 60));
  assert.equal(apiTime('2020-01-02T03:04:05.5Z'), '1577934245.500000000');
  assert.throws(() => apiTime('bogus'));
});
