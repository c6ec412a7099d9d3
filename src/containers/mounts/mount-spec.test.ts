import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MountRequest } from '../../spec/index.ts';
import { isMountMode, parseBind, parseMountRequest, parseVolumesFrom, type MountSpec } from './mount-spec.ts';
import { bindOptions } from './runtime-options.ts';
import { tmpfsMountOptions } from './tmpfs-options.ts';
import { mountOf, readHostMounts } from './propagation.ts';

const binds: [string, Partial<MountSpec>][] = [
  ['/data', { type: 'volume', source: '', destination: '/data', readOnly: false, copyUp: true }],
  ['name:/data', { type: 'volume', source: 'name', destination: '/data', mode: '', copyUp: true }],
  ['name:/data:nocopy', { type: 'volume', source: 'name', mode: 'nocopy', copyUp: false }],
  ['/src:/dst', { type: 'bind', source: '/src', destination: '/dst', createSource: true, copyUp: false }],
  ['/src/../x/:/dst/./y/', { source: '/x', destination: '/dst/y' }],
  ['/src:/dst:ro', { readOnly: true, mode: 'ro', propagation: undefined }],
  ['/src:/dst:rw,Z,rslave', { readOnly: false, mode: 'rw,Z,rslave', propagation: 'rslave' }],
  ['/src:/dst:cached', { readOnly: false }],
  ['name:/data:rshared', { type: 'volume', propagation: 'rshared' }],
];
for (const [text, expected] of binds)
  test(`parseBind() reads ${text}`, () => {
    const spec = parseBind(text, '');
    for (const [name, value] of Object.entries(expected))
      assert.deepEqual(spec[name as keyof MountSpec], value, name);
  });

const badBinds: [string, string][] = [
  ['', "invalid volume specification: ''"],
  [':/x', "invalid volume specification: ':/x'"],
  ['/x:rw', "invalid volume specification: '/x:rw'"],
  ['/a:/b:rw:z', "invalid volume specification: '/a:/b:rw:z'"],
  ['aa:/x:zz', 'invalid mode: zz'],
  ['aa:/x:ro,rw', 'invalid mode: ro,rw'],
  [
    '/x:y',
    `invalid volume specification: '/x:y': invalid mount config for type "bind": invalid mount path: 'y' mount path must be absolute`,
  ],
  [
    'xx:y',
    `invalid volume specification: 'xx:y': invalid mount config for type "volume": invalid mount path: 'y' mount path must be absolute`,
  ],
  [
    'aa:/',
    `invalid volume specification: 'aa:/': invalid mount config for type "volume": invalid specification: destination can't be '/'`,
  ],
  [
    '/x:/./',
    `invalid volume specification: '/x:/./': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
  ],
];
for (const [text, message] of badBinds)
  test(`parseBind() refuses "${text}"`, () => {
    assert.throws(() => parseBind(text, ''), { kind: 'invalid-parameter', message });
  });

test('isMountMode() takes one word of a kind', () => {
  for (const mode of ['', 'ro', 'ro,z', 'rw,Z,shared,nocopy,delegated']) assert.ok(isMountMode(mode), mode);
  for (const mode of ['x', 'ro,ro', 'z,Z', 'shared,private', 'ro,', '/x'])
    assert.ok(!isMountMode(mode), mode);
});

const requests: [MountRequest, Partial<MountSpec>][] = [
  [
    { Type: 'bind', Source: '/', Target: '/x', ReadOnly: true },
    { type: 'bind', source: '/', readOnly: true, readOnlyRecursion: 'if-possible', createSource: false },
  ],
  [
    {
      Type: 'bind',
      Source: '/nope',
      Target: '/x',
      ReadOnly: true,
      BindOptions: {
        CreateMountpoint: true,
        NonRecursive: true,
        Propagation: 'shared',
        ReadOnlyForceRecursive: true,
      },
    },
    { createSource: true, nonRecursive: true, propagation: 'shared', readOnlyRecursion: 'force' },
  ],
  [
    {
      Type: 'volume',
      Source: 'vv',
      Target: '/x',
      VolumeOptions: {
        NoCopy: true,
        Subpath: 'a/b',
        Labels: { l: '1' },
        DriverConfig: { Name: 'local', Options: { o: 'x' } },
      },
    },
    {
      copyUp: false,
      volume: { driver: 'local', options: { o: 'x' }, labels: { l: '1' }, subpath: 'a/b' },
    },
  ],
  [
    { Type: 'volume', Target: '/x' },
    { source: '', copyUp: true },
  ],
  [
    {
      Type: 'tmpfs',
      Target: '/x',
      ReadOnly: true,
      TmpfsOptions: { SizeBytes: 2 ** 21, Mode: 0o1770, Options: [['exec']] },
    },
    { type: 'tmpfs', tmpfsOptions: 'ro,mode=1770,size=2m,exec' },
  ],
  [{ Type: 'tmpfs', Target: '/x', TmpfsOptions: { SizeBytes: 1000 } }, { tmpfsOptions: 'size=1000' }],
];
for (const [request, expected] of requests)
  test(`parseMountRequest() reads ${JSON.stringify(request)}`, () => {
    const spec = parseMountRequest(request);
    for (const [name, value] of Object.entries(expected))
      assert.deepEqual(spec[name as keyof MountSpec], value, name);
  });

const badRequests: [MountRequest, string][] = [
  [
    { Type: 'bind', Source: '/nonexist', Target: '/x' },
    'invalid mount config for type "bind": bind source path does not exist: /nonexist',
  ],
  [{ Type: 'bind', Target: '/x' }, 'invalid mount config for type "bind": field Source must not be empty'],
  [
    { Type: 'bind', Source: '/', Target: '' },
    'invalid mount config for type "bind": field Target must not be empty',
  ],
  [
    { Type: 'bind', Source: '/tmp', Target: 'x' },
    `invalid mount config for type "bind": invalid mount path: 'x' mount path must be absolute`,
  ],
  [
    { Type: 'bind', Source: '/', Target: '/x', BindOptions: { Propagation: 'odd' } },
    'invalid mount config for type "bind": invalid propagation mode: odd',
  ],
  [{ Type: 'foo' as 'bind', Target: '/x' }, 'invalid mount config for type "foo": mount type unknown'],
  [
    { Type: 'volume', Target: '/x', BindOptions: {} },
    'invalid mount config for type "volume": field BindOptions must not be specified',
  ],
  [
    { Type: 'tmpfs', Source: 's', Target: '/x' },
    'invalid mount config for type "tmpfs": field Source must not be specified',
  ],
  [
    { Type: 'volume', Target: '/x', VolumeOptions: { Subpath: 'a' } },
    'invalid mount config for type "volume": must not set Subpath when using anonymous volumes',
  ],
  [
    { Type: 'volume', Source: 'vv', Target: '/x', VolumeOptions: { Subpath: 'a/../../b' } },
    'invalid mount config for type "volume": subpath must be a relative path within the volume',
  ],
  [
    { Type: 'tmpfs', Target: '/x', TmpfsOptions: { Options: [['size', '1']] } },
    'invalid mount config for type "tmpfs": invalid option: size',
  ],
  [
    { Type: 'bind', Source: '/', Target: '/x', BindOptions: { ReadOnlyNonRecursive: true } },
    'mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive',
  ],
];
for (const [request, message] of badRequests)
  test(`parseMountRequest() refuses ${JSON.stringify(request)}`, () => {
    assert.throws(() => parseMountRequest(request), { kind: 'invalid-parameter', message });
  });

test('parseVolumesFrom() reads container and mode', () => {
  assert.deepEqual(parseVolumesFrom('c1'), { container: 'c1', readOnly: false });
  assert.deepEqual(parseVolumesFrom('c1:ro,z'), { container: 'c1', readOnly: true });
  for (const text of ['c1:zz', 'c1:rshared', 'c1:nocopy'])
    assert.throws(() => parseVolumesFrom(text), { message: `invalid mode: ${text.slice(3)}` });
  assert.throws(() => parseVolumesFrom(''), /empty string/);
});

const tmpfs: [string, string][] = [
  ['', 'noexec,nosuid,nodev,rprivate'],
  ['size=1m,exec', 'nosuid,nodev,rprivate,size=1m,exec'],
  ['size=1m,size=2m,ro,rw', 'noexec,nosuid,nodev,rprivate,size=2m,rw'],
  ['defaults,rshared,mode=700', 'noexec,nosuid,nodev,rshared,mode=700'],
];
for (const [text, expected] of tmpfs)
  test(`tmpfsMountOptions() merges "${text}"`, () => {
    assert.equal(tmpfsMountOptions(text).join(), expected);
  });

test('tmpfsMountOptions() refuses what tmpfs does not have', () => {
  assert.throws(() => tmpfsMountOptions('upperdir=/x'), { message: 'invalid tmpfs option "upperdir"' });
  assert.throws(() => tmpfsMountOptions('size'), { message: 'invalid tmpfs option "size"' });
});

test('bindOptions() makes read-only recursive where the kernel can', () => {
  const mount = {
    writable: false,
    propagation: '',
    nonRecursive: false,
    readOnlyRecursion: 'if-possible',
    sourceOptions: ['rw', 'relatime'],
    sourceIsDirectory: true,
  } as const;
  assert.deepEqual(bindOptions(mount, '6.1.0-13-amd64'), ['rbind', 'rro', 'rprivate']);
  assert.deepEqual(bindOptions(mount, '5.11.0'), ['rbind', 'ro', 'rprivate']);
  assert.deepEqual(bindOptions({ ...mount, readOnlyRecursion: 'never' }, '6.1.0'), [
    'rbind',
    'ro',
    'rprivate',
  ]);
  assert.deepEqual(bindOptions({ ...mount, writable: true, nonRecursive: true, propagation: 'shared' }), [
    'bind',
    'shared',
  ]);
  assert.deepEqual(bindOptions({ ...mount, sourceIsDirectory: false }, '6.1.0'), ['rbind', 'ro', 'rprivate']);
  assert.throws(() => bindOptions({ ...mount, readOnlyRecursion: 'force' }, '5.4.0'), /rro is not supported/);
});

test('bindOptions() keeps what the mount of the source forbids', () => {
  const options = bindOptions({
    writable: true,
    propagation: '',
    nonRecursive: false,
    readOnlyRecursion: 'if-possible',
    sourceOptions: ['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'relatime'],
    sourceIsDirectory: true,
  });
  assert.deepEqual(options, ['rbind', 'ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'rprivate']);
});

test('mountOf() finds the innermost and latest mount, its options and how it propagates', () => {
  const mounts = readHostMounts(
    [
      '1 0 254:0 / / rw - ext4 /dev/vda rw',
      '2 1 0:5 / /usr rw shared:7 master:3 - tmpfs none rw',
      '3 2 0:6 / /usr/with\\040space rw - tmpfs none rw',
      '4 1 0:7 / /usr ro,nosuid master:9 - tmpfs none rw',
      '',
    ].join('\n'),
  );
  assert.equal(mounts[2]?.mountPoint, '/usr/with space');
  assert.deepEqual(mountOf('/usr', mounts), {
    mountPoint: '/usr',
    options: ['ro', 'nosuid'],
    shared: false,
    slave: true,
  });
  assert.equal(mountOf('/etc', mounts).mountPoint, '/');
});
