import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mergeSettings, readConfigFile } from './config-file.ts';
import { parseFlags } from './flags.ts';
import { DaemonLog } from './log.ts';
import { buildOptions } from './options.ts';
import { parseSize } from './values.ts';

test('parseFlags() reads the forms of pflag', () => {
  const given = parseFlags([
    '-D',
    '-H',
    'unix:///a',
    '-Htcp://:1',
    '--host=fd://',
    '--debug=false',
    '--label',
    'a=b',
    '--label=c=d',
    '-l=warn',
  ]);
  assert.deepEqual(given.get('host'), ['unix:///a', 'tcp://:1', 'fd://']);
  assert.equal(given.get('debug'), false);
  assert.deepEqual(given.get('label'), ['a=b', 'c=d']);
  assert.equal(given.get('log-level'), 'warn');
});

for (const [argv, message] of [
  [['--nope'], 'unknown flag: --nope'],
  [['-Z'], "unknown shorthand flag: 'Z' in -Z"],
  [['--host'], 'flag needs an argument: --host'],
  [['--debug=maybe'], /invalid argument "maybe" for "-D, --debug" flag/],
  [['word'], '"coracle daemon" accepts no arguments'],
] as const) {
  test(`parseFlags() refuses ${argv.join(' ')}`, () => {
    assert.throws(() => parseFlags(argv), { message });
  });
}

test('buildOptions() fills in defaults and turns settings into engine options', () => {
  const options = buildOptions(
    parseFlags([
      '--data-root',
      '/d',
      '--exec-root',
      '/e',
      '--bridge',
      'b0',
      '--bip',
      '10.0.0.1/24',
      '--default-address-pool',
      'base=10.1.0.0/16,size=24',
      '--ipv6',
      '--icc=false',
      '--fixed-cidr-v6',
      'fd00::/64',
      '--default-network-opt',
      'bridge=com.docker.network.driver.mtu=1300',
      '--default-ulimit',
      'nofile=10:20',
      '--add-runtime',
      'mine=/usr/bin/runc',
      '--exec-opt',
      'native.cgroupdriver=systemd',
    ]),
  );
  assert.deepEqual(options.hosts, [
    { kind: 'unix', path: '/e/coracle.sock', text: 'unix:///e/coracle.sock' },
  ]);
  assert.deepEqual(options.engine.bridge, {
    name: 'b0',
    bip: '10.0.0.1/24',
    ipv6: true,
    fixedCidr6: 'fd00::/64',
    neighbours: false,
    pools: [{ base: '10.1.0.0/16', size: 24 }],
    networkOptions: { bridge: { 'com.docker.network.driver.mtu': '1300' } },
  });
  assert.deepEqual(options.engine.defaultUlimits, [{ Name: 'nofile', Soft: 10, Hard: 20 }]);
  assert.deepEqual(options.engine.runtimes, { mine: { path: '/usr/bin/runc', args: [] } });
  assert.equal(options.engine.cgroupDriver, 'systemd');
  assert.equal(options.logLevel, 'info');
});

for (const argv of [
  ['-H', 'foo://x'],
  ['-H', 'unix://relative'],
  ['--log-level', 'zz'],
  ['--label', 'novalue'],
  ['--default-ulimit', 'nofile=20:10'],
  ['--default-shm-size', 'big'],
  ['--exec-opt', 'native.other=1'],
  ['--default-network-opt', 'bridge=x'],
  ['--max-download-attempts', '0'],
]) {
  test(`buildOptions() refuses ${argv.join(' ')}`, () => {
    assert.throws(() => buildOptions(parseFlags(argv)), { kind: 'invalid-parameter' });
  });
}

test('buildOptions() reads the lowest API version', () => {
  const given = (version: string): number =>
    buildOptions(parseFlags(['--min-api-version', version])).minimumVersion;
  assert.equal(given('1.22'), 22);
  assert.equal(buildOptions(parseFlags([])).minimumVersion, 24);
  assert.throws(() => given('v1.22'), { message: 'API version must be provided without "v" prefix' });
  assert.throws(() => given('1.11'), { message: 'minimum supported API version is 1.12: 1.11' });
  assert.throws(() => given('1.999'), { message: /^maximum supported API version is 1\.\d+: 1\.999$/ });
  assert.throws(() => given('two'), { kind: 'invalid-parameter' });
});

for (const [argv, message] of [
  ['--registry-mirror=mirror:5000', /no scheme specified for "mirror:5000": must use either/],
  ['--registry-mirror=ftp://mirror', /unsupported scheme "ftp"/],
  ['--registry-mirror=https://mirror/?a=b', /query or fragment at end of the URI/],
  ['--registry-mirror=https://ann:secret@mirror', /not allowed in URI "https:\/\/ann:xxxxx@mirror"/],
  ['--insecure-registry=ftp://a', /insecure registry ftp:\/\/a should not contain ':\/\/'/],
  ['--insecure-registry=-a', /invalid index name \(-a\)/],
  ['--insecure-registry=a:99999', /insecure registry a:99999 is not valid: invalid host/],
  ['--insecure-registry=a/b', /insecure registry a\/b is not valid/],
] as const) {
  test(`buildOptions() refuses ${argv}`, () => {
    assert.throws(() => buildOptions(parseFlags([argv])), { kind: 'invalid-parameter', message });
  });
}

test('buildOptions() reads registries', () => {
  const given = ['http://a:5000', '10.0.0.0/8', 'fd00::/8', '[::1]:5000', 'b'];
  const flags = given.map((one) => `--insecure-registry=${one}`);
  const options = buildOptions(parseFlags([...flags, '--registry-mirror=https://mirror/path']));
  assert.deepEqual(options.insecureRegistries, ['a:5000', ...given.slice(1)]);
  assert.deepEqual(options.engine.registries?.mirrors, ['https://mirror/path/']);
});

test('buildOptions() refuses to be without a default network', () => {
  assert.throws(() => buildOptions(parseFlags(['--bridge', 'none'])), {
    message: /--bridge none is not supported/,
  });
});

test('parseSize() reads the units of go-units', () => {
  assert.equal(parseSize('64m'), 67_108_864);
  assert.equal(parseSize('1.5GiB'), 1_610_612_736);
  assert.equal(parseSize('100'), 100);
});

test('readConfigFile() reads the keys of dockerd and refuses others', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'daemon-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'daemon.json');
  writeFileSync(
    path,
    JSON.stringify({
      hosts: ['unix:///a'],
      debug: true,
      'default-address-pools': [{ base: '10.0.0.0/8', size: 24 }],
      'default-ulimits': { nofile: { Name: 'nofile', Hard: 9, Soft: 8 } },
      'default-network-opts': { bridge: { a: 'b=c', d: '1' } },
      runtimes: { mine: { path: '/r', runtimeArgs: ['--x'] } },
      proxies: { 'https-proxy': 'http://proxy:3128', 'no-proxy': 'example.org' },
      'max-download-attempts': 2,
    }),
  );
  const file = readConfigFile(path, true);
  const options = buildOptions(file);
  assert.deepEqual(options.engine.bridge?.pools, [{ base: '10.0.0.0/8', size: 24 }]);
  assert.deepEqual(options.engine.bridge?.networkOptions, { bridge: { a: 'b=c', d: '1' } });
  assert.deepEqual(options.engine.defaultUlimits, [{ Name: 'nofile', Soft: 8, Hard: 9 }]);
  assert.deepEqual(options.engine.runtimes, { mine: { path: '/r', args: ['--x'] } });
  assert.deepEqual(options.proxies, { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: 'example.org' });
  assert.deepEqual(options.engine.registries?.retry, { attempts: 2 });

  assert.throws(() => mergeSettings(parseFlags(['--debug']), file, path), {
    message: `unable to configure the daemon with file ${path}: the following directives are specified both as a flag and in the configuration file: debug: (from flag: true, from file: true)`,
  });
  writeFileSync(path, '{"zzz":1,"proxies":{"ftp-proxy":"x"}}');
  assert.throws(
    () => readConfigFile(path, true),
    /directives don't match any configuration option: zzz, proxies\.ftp-proxy/,
  );
  writeFileSync(path, '{');
  assert.throws(() => readConfigFile(path, true), { kind: 'invalid-parameter' });
  assert.equal(readConfigFile(join(directory, 'none'), false).size, 0);
  assert.throws(() => readConfigFile(join(directory, 'none'), true), /no such file or directory/);
});

test('DaemonLog.write() writes lines as dockerd does, from its level up', () => {
  const lines: string[] = [];
  const log = new DaemonLog({ level: 'info', format: 'text', write: (line) => lines.push(line) });
  log.debug('no');
  log.warning('two "words"', { path: '/a', error: 'x y' });
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /^time="[^"]+Z" level=warning msg="two \\"words\\"" path=\/a error="x y"\n$/);
});

test('buildOptions() reads the policy for unused images from flags and file', () => {
  assert.equal(buildOptions(parseFlags([])).engine.imageGc, undefined);
  const argv = [
    'keep-bytes=2g',
    'high-water=85%',
    'low-water=70',
    'unused-for=1h30m',
    'labels=a,b=c',
    'interval=30s',
  ];
  const policy = {
    keepBytes: 2 * 2 ** 30,
    waterMarks: { highPercent: 85, lowPercent: 70 },
    unusedForMs: 5_400_000,
    labels: ['a', 'b=c'],
    exceptLabels: [],
    intervalMs: 30_000,
  };
  const flags = parseFlags(argv.flatMap((option) => ['--image-gc', option]));
  assert.deepEqual(buildOptions(flags).engine.imageGc, policy);
  const directory = mkdtempSync(join(tmpdir(), 'daemon-'));
  try {
    const path = join(directory, 'daemon.json');
    const file = { 'high-water': 90, 'except-labels': ['keep', 'x=y'], 'unused-for': '0' };
    writeFileSync(path, JSON.stringify({ 'image-gc': file }));
    assert.deepEqual(buildOptions(readConfigFile(path, true)).engine.imageGc, {
      waterMarks: { highPercent: 90, lowPercent: 90 },
      unusedForMs: 0,
      labels: [],
      exceptLabels: ['keep', 'x=y'],
      intervalMs: 300_000,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
  for (const [option, message] of [
    ['nosuch=1', /unknown option: nosuch/],
    ['high-water=120', /high-water is not a percentage: 120/],
    ['low-water=20', /low-water needs high-water/],
    ['unused-for=week', /unused-for is not a duration: week/],
    ['keep-bytes=much', /invalid size: 'much'/],
  ] as const) {
    assert.throws(() => buildOptions(parseFlags(['--image-gc', option])), {
      kind: 'invalid-parameter',
      message,
    });
  }
});

test('buildOptions() reads how large archives may become', () => {
  const given = new Map([
    ['max-archive-size', '64g'],
    ['max-archive-ratio', '100'],
    ['max-archive-entries', '5000'],
  ] as const);
  const limits = { maxBytes: 64 * 2 ** 30, maxRatio: 100, maxEntries: 5000 };
  assert.deepEqual(buildOptions(given).engine.archiveLimits, limits);
  assert.deepEqual(buildOptions(new Map()).engine.archiveLimits, {});
  assert.throws(() => buildOptions(new Map([['max-archive-size', 'x']] as const)), /invalid size/);
});

test('buildOptions() reads who lets packets reach published ports, and the mark of those that pass', () => {
  const bridge = (flag: 'publish-policy' | 'bridge-accept-fwmark', value: string) =>
    buildOptions(new Map([[flag, value]])).engine.bridge;
  assert.equal(bridge('publish-policy', 'host-firewall')?.publishPolicy, 'host-firewall');
  assert.deepEqual(bridge('bridge-accept-fwmark', '0x1/0x3')?.acceptMark, { value: '0x1', mask: '0x3' });
  assert.deepEqual(bridge('bridge-accept-fwmark', '16')?.acceptMark, { value: '16', mask: '0xffffffff' });
  assert.throws(() => bridge('publish-policy', 'ufw'), /invalid publish policy: ufw/);
  assert.throws(() => bridge('bridge-accept-fwmark', '0x1/0x3; drop'), /invalid firewall mark/);
});
