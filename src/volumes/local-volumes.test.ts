import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { SyscallError, isEngineError, type ErrorKind } from '../errors/index.ts';
import { MemoryEventBus } from '../events/index.ts';
import { memoryRecords, type Records } from '../records/index.ts';
import { mountFlags, recordingSyscall, type RecordingSyscall } from '../sys/index.ts';
import { LocalVolumes } from './index.ts';

let dataRoot: string;
let records: Records;
let events: MemoryEventBus;
let syscall: RecordingSyscall;
let volumes: LocalVolumes;

beforeEach(() => {
  dataRoot = mkdtempSync(join(tmpdir(), 'coracle-volumes-'));
  records = memoryRecords();
  events = new MemoryEventBus();
  syscall = recordingSyscall();
  volumes = new LocalVolumes({ records, events, syscall, dataRoot });
});

afterEach(() => {
  records[Symbol.dispose]();
  rmSync(dataRoot, { recursive: true, force: true });
});

function fails(kind: ErrorKind, message: string | RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isEngineError(error), String(error));
    assert.equal(error.kind, kind);
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
    return true;
  };
}

const actions = (): string[] => events.recent().map((event) => `${event.Action} ${event.Actor.ID}`);

test('LocalVolumes.create() makes the directory, keeps the record, tells of it', async () => {
  const made = await volumes.create({ name: 'data', labels: { a: 'b' } });
  assert.equal(made.Mountpoint, join(dataRoot, 'volumes/data/_data'));
  assert.deepEqual(
    { ...made, CreatedAt: '' },
    {
      CreatedAt: '',
      Driver: 'local',
      Labels: { a: 'b' },
      Mountpoint: made.Mountpoint,
      Name: 'data',
      Options: null,
      Scope: 'local',
    },
  );
  assert.ok(existsSync(made.Mountpoint));
  assert.deepEqual(actions(), ['create data']);
  const reopened = new LocalVolumes({ records, events, syscall, dataRoot });
  assert.deepEqual(reopened.inspect('data'), made);
});

test('LocalVolumes.create() returns an existing volume as it is', async () => {
  const first = await volumes.create({ name: 'data', labels: { a: 'b' } });
  assert.deepEqual(await volumes.create({ name: 'data', labels: { c: 'd' } }), first);
  assert.deepEqual(actions(), ['create data']);
});

test('LocalVolumes.create() names a volume that has no name and labels it', async () => {
  const made = await volumes.create({});
  assert.match(made.Name, /^[0-9a-f]{64}$/);
  assert.deepEqual(made.Labels, { 'com.docker.volume.anonymous': '' });
});

const refused: [string, Parameters<LocalVolumes['create']>[0], ErrorKind, string][] = [
  [
    'a short name',
    { name: 'a' },
    'invalid-parameter',
    'create a: volume name is too short, names should be at least two alphanumeric characters',
  ],
  [
    'a space',
    { name: 'a b' },
    'invalid-parameter',
    'create a b: "a b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
  ],
  ['a way out', { name: '../x' }, 'invalid-parameter', ''],
  ['a dot in front', { name: '.x' }, 'invalid-parameter', ''],
  [
    'an unknown driver',
    { name: 'vv', driver: 'foo' },
    'not-found',
    'create vv: error looking up volume plugin foo: plugin "foo" not found',
  ],
  [
    'an unknown option',
    { name: 'vv', options: { foo: 'bar' } },
    'invalid-parameter',
    'create vv: invalid option: "foo"',
  ],
  [
    'a type without device',
    { name: 'vv', options: { type: 'tmpfs' } },
    'invalid-parameter',
    'create vv: missing required option: "device"',
  ],
  [
    'options without type',
    { name: 'vv', options: { o: 'ro', device: '/dev/x' } },
    'invalid-parameter',
    'create vv: missing required option: "type"',
  ],
  [
    'a quota',
    { name: 'vv', options: { size: '10m' } },
    'invalid-parameter',
    'create vv: quota size requested but no quota support',
  ],
  [
    'a port for cifs',
    { name: 'vv', options: { type: 'cifs', device: '//h:44/s' } },
    'invalid-parameter',
    "create vv: port not allowed in CIFS device URL, include 'port' in 'o='",
  ],
];
for (const [what, request, kind, message] of refused)
  test(`LocalVolumes.create() refuses ${what}`, async () => {
    await assert.rejects(volumes.create(request), fails(kind, message === '' ? /includes invalid/ : message));
    assert.deepEqual(readdirSync(join(dataRoot, 'volumes')), []);
    assert.deepEqual(volumes.list(), []);
  });

test('LocalVolumes.inspect() says what is not there', () => {
  assert.throws(() => volumes.inspect('nope'), fails('not-found', 'get nope: no such volume'));
});

test('LocalVolumes.remove() deletes files and record, and the name is free', async () => {
  const { Mountpoint } = await volumes.create({ name: 'data' });
  writeFileSync(join(Mountpoint, 'file'), 'x');
  await volumes.remove('data', false);
  assert.deepEqual(readdirSync(join(dataRoot, 'volumes')), []);
  assert.deepEqual(actions(), ['create data', 'destroy data']);
  await volumes.create({ name: 'data' });
  assert.deepEqual(readdirSync(Mountpoint), []);
});

test('LocalVolumes.remove() refuses a volume in use and names its users', async () => {
  await volumes.create({ name: 'data' });
  volumes.refer('data', 'c1');
  await assert.rejects(
    volumes.remove('data', true),
    fails('conflict', 'remove data: volume is in use - [c1]'),
  );
  volumes.unrefer('data', 'c1');
  await volumes.remove('data', false);
});

test('LocalVolumes.remove() with force ignores a missing volume', async () => {
  await volumes.remove('nope', true);
  await assert.rejects(volumes.remove('nope', false), fails('not-found', 'get nope: no such volume'));
});

test('LocalVolumes.remove() beside create() of the same name leaves a whole volume', async () => {
  const { Mountpoint } = await volumes.create({ name: 'data' });
  writeFileSync(join(Mountpoint, 'old'), '');
  const removal = volumes.remove('data', false);
  await Promise.resolve();
  await Promise.resolve();
  const made = await volumes.create({ name: 'data' });
  writeFileSync(join(made.Mountpoint, 'new'), '');
  await removal;
  assert.deepEqual(readdirSync(made.Mountpoint), ['new']);
});

test('LocalVolumes.acquire() mounts for the first container and release() unmounts after the last', async () => {
  await volumes.create({ name: 'net', options: { type: 'tmpfs', device: 'tmpfs', o: 'ro,size=1m,nodev' } });
  const path = await volumes.acquire('net', 'c1');
  assert.deepEqual(
    syscall.calls.map((call) => [call.name, ...call.args]),
    [['mount', 'tmpfs', path, 'tmpfs', mountFlags.readOnly | mountFlags.nodev, 'size=1m']],
  );
  await volumes.acquire('net', 'c1');
  await volumes.acquire('net', 'c2');
  assert.equal(syscall.calls.length, 1);
  await assert.rejects(
    volumes.remove('net', false),
    fails('conflict', 'remove net: volume is in use - [c1, c2]'),
  );
  await volumes.release('net', 'c1');
  await volumes.release('net', 'c2');
  await volumes.remove('net', false);
});

test('LocalVolumes.acquire() makes a bind read-only and shared by further calls', async () => {
  await volumes.create({ name: 'bb', options: { type: 'none', device: '/tmp', o: 'bind,ro,rshared' } });
  await volumes.acquire('bb', 'c1');
  assert.deepEqual(
    syscall.calls.map((call) => call.args[3]),
    [
      mountFlags.bind | mountFlags.readOnly | mountFlags.recursive,
      mountFlags.bind | mountFlags.readOnly | mountFlags.recursive | mountFlags.remount,
      mountFlags.shared | mountFlags.recursive,
    ],
  );
});

test('LocalVolumes.acquire() hides the password when a mount fails, and holds nothing then', async () => {
  syscall = recordingSyscall({
    mount: () => {
      throw new SyscallError('mount', 'EINVAL', 'username=u,password=secret');
    },
  });
  volumes = new LocalVolumes({ records, events, syscall, dataRoot });
  await volumes.create({ name: 'ci', options: { type: 'cifs', device: '//h/s', o: 'password=secret' } });
  await assert.rejects(
    volumes.acquire('ci', 'c1'),
    fails('internal', /^failed to mount local volume: .*password=\*{8}/),
  );
  await volumes.remove('ci', false);
});

test('LocalVolumes.list() filters', async () => {
  await volumes.create({ name: 'aaa', labels: { env: 'dev', k: '' } });
  await volumes.create({ name: 'bbb', labels: { env: 'prod' } });
  volumes.refer('bbb', 'c1');
  const names = (filters: Record<string, string[]>): string[] =>
    volumes.list(new Map(Object.entries(filters))).map((volume) => volume.Name);
  assert.deepEqual(names({}), ['aaa', 'bbb']);
  assert.deepEqual(names({ dangling: ['true'] }), ['aaa']);
  assert.deepEqual(names({ dangling: ['0'] }), ['bbb']);
  assert.deepEqual(names({ driver: ['local'] }), ['aaa', 'bbb']);
  assert.deepEqual(names({ driver: ['nfs'] }), []);
  assert.deepEqual(names({ name: ['bb'] }), ['bbb']);
  assert.deepEqual(names({ label: ['env'] }), ['aaa', 'bbb']);
  assert.deepEqual(names({ label: ['env=dev', 'k'] }), ['aaa']);
  assert.throws(() => names({ foo: ['x'] }), fails('invalid-parameter', "invalid filter 'foo'"));
  assert.throws(
    () => names({ dangling: ['maybe'] }),
    fails('invalid-parameter', "invalid filter 'dangling=[maybe]'"),
  );
});

test('LocalVolumes.prune() takes anonymous volumes, all of them with all=true, never what is referred to', async () => {
  const anonymous = await volumes.create({});
  const file = join(anonymous.Mountpoint, 'file');
  writeFileSync(file, '12345');
  const blocks = statSync(file).blocks * 512;
  const used = await volumes.create({});
  volumes.refer(used.Name, 'c1');
  await volumes.create({ name: 'named' });
  await volumes.create({ name: 'keep', labels: { keep: '1' } });
  await volumes.create({ name: 'mounted', options: { type: 'tmpfs', device: 'tmpfs' } });
  assert.deepEqual(await volumes.prune(new Map()), { names: [anonymous.Name], spaceReclaimedBytes: blocks });
  const all = await volumes.prune(
    new Map([
      ['all', ['true']],
      ['label!', ['keep']],
    ]),
  );
  assert.deepEqual(all.names, ['named']);
  assert.deepEqual(
    volumes.list().map((volume) => volume.Name),
    [used.Name, 'keep', 'mounted'].toSorted(),
  );
  await assert.rejects(
    volumes.prune(new Map([['dangling', ['true']]])),
    fails('invalid-parameter', "invalid filter 'dangling'"),
  );
});

test('LocalVolumes.diskBytes() counts the blocks used, of a file with two names once', async () => {
  const { Mountpoint } = await volumes.create({ name: 'data' });
  mkdirSync(join(Mountpoint, 'sub'));
  writeFileSync(join(Mountpoint, 'sub/a'), '123');
  linkSync(join(Mountpoint, 'sub/a'), join(Mountpoint, 'b'));
  writeFileSync(join(Mountpoint, 'c'), '45');
  const blocks = ['sub', 'b', 'c'].map((name) => statSync(join(Mountpoint, name)).blocks);
  assert.equal(await volumes.diskBytes('data'), 512 * blocks.reduce((sum, count) => sum + count, 0));
});

test('LocalVolumes finishes what a crash left, and deletes no files without a record', async () => {
  await volumes.create({ name: 'data' });
  await volumes.create({ name: 'removed' });
  rmSync(join(dataRoot, 'volumes/removed'), { recursive: true });
  mkdirSync(join(dataRoot, 'volumes/half'));
  mkdirSync(join(dataRoot, 'volumes/made/_data'), { recursive: true });
  mkdirSync(join(dataRoot, 'volumes/.gone-00/_data'), { recursive: true });
  writeFileSync(join(dataRoot, 'volumes/.gone-00/_data/file'), '');
  mkdirSync(join(dataRoot, 'volumes/lost/_data'), { recursive: true });
  writeFileSync(join(dataRoot, 'volumes/lost/_data/file'), '');
  const again = new LocalVolumes({ records, events, syscall, dataRoot });
  assert.deepEqual(readdirSync(join(dataRoot, 'volumes')).toSorted(), ['data', 'lost']);
  assert.deepEqual(
    again.list().map((volume) => volume.Name),
    ['data', 'lost'],
  );
});
