import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { EngineError } from '../../errors/index.ts';
import { MemoryEventBus } from '../../events/index.ts';
import { memoryRecords, type Records } from '../../records/index.ts';
import type { HostConfig } from '../../spec/index.ts';
import { recordingSyscall, type RecordingSyscall } from '../../sys/index.ts';
import { LocalVolumes } from '../../volumes/index.ts';
import { emptyConfig, emptyHostConfig } from '../oci-spec/test-input.ts';
import { ContainerMounts, type MountedContainer } from './index.ts';

let directory: string;
let records: Records;
let events: MemoryEventBus;
let syscall: RecordingSyscall;
let volumes: LocalVolumes;
let mounts: ContainerMounts;
const containers = new Map<string, MountedContainer>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'coracle-mounts-'));
  mkdirSync(join(directory, 'root'));
  records = memoryRecords();
  events = new MemoryEventBus();
  syscall = recordingSyscall();
  const dataRoot = join(directory, 'data');
  volumes = new LocalVolumes({ records, events, syscall, dataRoot });
  mounts = new ContainerMounts({ volumes, events, syscall, dataRoot, execRoot: join(directory, 'exec') });
  containers.clear();
});

afterEach(() => {
  records[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function create(
  id: string,
  hostConfig: Partial<HostConfig>,
  volumePaths: string[] = [],
): Promise<MountedContainer> {
  const asked = {
    id,
    config: emptyConfig({ Volumes: Object.fromEntries(volumePaths.map((path) => [path, {}])) }),
    hostConfig: emptyHostConfig(hostConfig),
  };
  const { mountPoints, anonymousVolumes } = await mounts.plan(asked, (name) => {
    const found = containers.get(name);
    if (found === undefined) throw new EngineError('not-found', `No such container: ${name}`);
    return found;
  });
  const container = { ...asked, mounts: mountPoints, anonymousVolumes };
  containers.set(id, container);
  return container;
}

const start = (container: MountedContainer, populate = true) =>
  mounts.acquire(container, { rootPath: join(directory, 'root'), populate });

test('ContainerMounts.plan() shows mounts as Docker does', async () => {
  const { mounts: points, anonymousVolumes } = await create(
    'c1',
    {
      Binds: ['named:/data', `${directory}/src:/m:ro`],
      Mounts: [
        { Type: 'tmpfs', Target: '/t2' },
        { Type: 'volume', Target: '/anon2' },
      ],
      Tmpfs: { '/t': 'size=1m' },
    },
    ['/anon', '/t', '/data'],
  );
  assert.deepEqual(
    points.map(({ Type, Destination, Mode, RW, Propagation }) => [Type, Destination, Mode, RW, Propagation]),
    [
      ['volume', '/data', 'z', true, ''],
      ['bind', '/m', 'ro', false, 'rprivate'],
      ['tmpfs', '/t2', '', true, ''],
      ['volume', '/anon2', 'z', true, ''],
      ['volume', '/anon', '', true, ''],
    ],
  );
  assert.equal(points[0]?.Source, join(directory, 'data/volumes/named/_data'));
  assert.deepEqual(anonymousVolumes, [points[3]?.Name, points[4]?.Name]);
  assert.deepEqual(volumes.referrers('named'), ['c1']);
  assert.ok(!existsSync(join(directory, 'src')));
});

const refused: [string, Partial<HostConfig>, string][] = [
  ['two binds', { Binds: ['/a:/x', '/b:/x'] }, 'Duplicate mount point: /x'],
  [
    'a bind and a mount',
    { Binds: ['/a:/x'], Mounts: [{ Type: 'tmpfs', Target: '/x/' }] },
    'Duplicate mount point: /x',
  ],
  ['a bind and a tmpfs', { Binds: ['/tmp:/x'], Tmpfs: { '/x': '' } }, 'Duplicate mount point: /x'],
  ['a relative tmpfs', { Tmpfs: { x: '' } }, "invalid mount path: 'x' mount path must be absolute"],
  ['an unknown tmpfs option', { Tmpfs: { '/x': 'foo' } }, 'invalid tmpfs option "foo"'],
  ['nobody to inherit from', { VolumesFrom: ['nope'] }, 'No such container: nope'],
];
for (const [what, hostConfig, message] of refused)
  test(`ContainerMounts.plan() refuses ${what}`, async () => {
    await assert.rejects(create('c1', hostConfig), { kind: 'invalid-parameter', message });
  });

test('ContainerMounts.plan() takes back the volumes it made when it fails', async () => {
  await volumes.create({ name: 'old' });
  await assert.rejects(create('c1', { Binds: ['old:/o', 'new:/n', '/anon', 'a b:/x'] }), /a b/);
  assert.deepEqual(
    volumes.list().map((volume) => volume.Name),
    ['old'],
  );
  assert.deepEqual(volumes.referrers('old'), []);
});

test('ContainerMounts.plan() inherits mounts, read-only when asked, and anonymous volumes with them', async () => {
  const donor = await create('c1', { Binds: ['named:/data'] }, ['/anon']);
  const heir = await create('c2', { VolumesFrom: ['c1:ro'], Binds: ['other:/data'] }, ['/anon']);
  assert.deepEqual(
    heir.mounts.map((point) => [point.Name, point.Destination, point.RW]),
    [
      ['other', '/data', true],
      [donor.anonymousVolumes[0], '/anon', false],
    ],
  );
  assert.deepEqual(heir.anonymousVolumes, donor.anonymousVolumes);
  await mounts.forget(donor, { removeAnonymous: true });
  assert.equal(volumes.list().length, 3);
  await mounts.forget(heir, { removeAnonymous: true });
  assert.deepEqual(
    volumes.list().map((volume) => volume.Name),
    ['named', 'other'],
  );
});

test('ContainerMounts.plan() lets binds of the data root follow the host', async () => {
  const dataRoot = join(directory, 'data');
  const { mounts: points } = await create('c1', { Binds: [`${dataRoot}:/d`, '/:/host:ro', '/usr:/usr2'] });
  assert.deepEqual(
    points.map((point) => point.Propagation),
    ['rslave', 'rslave', 'rprivate'],
  );
  await assert.rejects(
    create('c2', { Binds: [`${dataRoot}:/d:private`] }),
    /must use either propagation mode/,
  );
});

test('ContainerMounts.acquire() gives the runtime parents before children, and makes missing sources', async () => {
  const container = await create('c1', {
    Binds: [`${directory}/src:/a/b/c:ro`, 'named:/a', `${directory}/other:/z`],
    Tmpfs: { '/a/b': 'exec' },
  });
  const list = await start(container);
  assert.deepEqual(
    list.map(({ destination, type, options }) => [
      destination,
      type,
      // The machine's own mounts may be nosuid and the like.
      options?.filter((option) => type === 'tmpfs' || option.startsWith('r')).join(),
    ]),
    [
      ['/a', 'bind', 'rbind,rprivate'],
      ['/z', 'bind', 'rbind,rprivate'],
      ['/a/b', 'tmpfs', 'nosuid,nodev,rprivate,exec'],
      ['/a/b/c', 'bind', 'rbind,rro,rprivate'],
    ],
  );
  assert.ok(existsSync(join(directory, 'src')));
});

test('ContainerMounts.acquire() fills an empty volume at the first start, unless nocopy', async () => {
  mkdirSync(join(directory, 'root/data'));
  writeFileSync(join(directory, 'root/data/file'), 'from the image');
  chmodSync(join(directory, 'root/data'), 0o750);
  const container = await create('c1', { Binds: ['v1:/data', 'v2:/data2:nocopy', 'v3:/none'] });
  await start(container);
  const inVolume = (name: string): string => join(volumes.inspect(name).Mountpoint, 'file');
  assert.equal(readFileSync(inVolume('v1'), 'utf8'), 'from the image');
  assert.ok(!existsSync(inVolume('v2')));
  rmSync(inVolume('v1'));
  await start(container, false);
  assert.ok(!existsSync(inVolume('v1')));
  writeFileSync(join(volumes.inspect('v3').Mountpoint, 'own'), '');
  mkdirSync(join(directory, 'root/none'));
  writeFileSync(join(directory, 'root/none/file'), '');
  await start(container);
  assert.ok(!existsSync(inVolume('v3')));
});

test('ContainerMounts.acquire() refuses a volume over a file of the image', async () => {
  writeFileSync(join(directory, 'root/file'), '');
  await assert.rejects(start(await create('c1', {}, ['/file'])), {
    message: `cannot mount volume over existing file, file exists ${directory}/root/file`,
  });
});

test('ContainerMounts.acquire() and release() tell of volumes', async () => {
  const container = await create('c1', { Binds: ['named:/data:ro'] });
  await mounts.release(container);
  await start(container);
  await mounts.release(container);
  assert.deepEqual(
    events.recent().map((event) => [event.Action, event.Actor.ID, event.Actor.Attributes]),
    [
      ['create', 'named', { driver: 'local' }],
      [
        'mount',
        'named',
        { container: 'c1', destination: '/data', driver: 'local', propagation: '', 'read/write': 'false' },
      ],
      ['unmount', 'named', { container: 'c1', driver: 'local' }],
    ],
  );
});

test('ContainerMounts.acquire() lets go of everything when one mount fails', async () => {
  const container = await create('c1', {
    Binds: ['named:/data'],
    Mounts: [{ Type: 'volume', Source: 'vv', Target: '/x', VolumeOptions: { Subpath: 'nope' } }],
  });
  await assert.rejects(start(container), { kind: 'not-found' });
  await mounts.forget(container, { removeAnonymous: false });
  await volumes.remove('named', false);
  await volumes.remove('vv', false);
});

test('ContainerMounts.acquire() says which source has gone', async () => {
  const donor = await create('c1', { Binds: [`${directory}/src:/m`] });
  await assert.rejects(start(await create('c2', { VolumesFrom: ['c1'] })), {
    message: `bind source path does not exist: ${directory}/src`,
  });
  assert.equal((await start(donor)).length, 1);
});

test('ContainerMounts.acquire() mounts a part of a volume by a descriptor, until release()', async () => {
  await volumes.create({ name: 'vv' });
  mkdirSync(join(volumes.inspect('vv').Mountpoint, 'a/b'), { recursive: true });
  writeFileSync(join(volumes.inspect('vv').Mountpoint, 'a/b/file'), 'part');
  const container = await create('c1', {
    Mounts: [{ Type: 'volume', Source: 'vv', Target: '/x', VolumeOptions: { Subpath: 'a/b' } }],
  });
  const [mount] = await start(container);
  assert.equal(readFileSync(`${mount?.source}/file`, 'utf8'), 'part');
  await mounts.release(container);
  assert.ok(!existsSync(`${mount?.source}/file`));
  await assert.rejects(create('c2', { VolumesFrom: ['c1'] }), { kind: 'not-implemented' });
});

test('ContainerMounts.acquire() shares memory as the mode says', async () => {
  const shareable = await create('c1', { IpcMode: 'shareable', ShmSize: 4096 });
  const [own] = await start(shareable);
  assert.deepEqual(own, {
    destination: '/dev/shm',
    type: 'bind',
    source: join(directory, 'exec/shm/c1'),
    options: own?.options,
  });
  assert.deepEqual(
    own.options?.filter((option) => option.startsWith('r')),
    ['rbind', 'rprivate'],
  );
  assert.deepEqual(syscall.calls.at(-1)?.args.slice(0, 3), ['shm', own.source, 'tmpfs']);
  assert.equal(syscall.calls.at(-1)?.args[4], 'mode=1777,size=4096');
  const [joined] = await start(await create('c2', { IpcMode: 'container:c1' }));
  assert.equal(joined?.source, own.source);
  const [host] = await start(await create('c3', { IpcMode: 'host' }));
  assert.equal(host?.source, '/dev/shm');
  await mounts.release(shareable);
  assert.ok(!existsSync(own.source as string));
  await assert.rejects(start(await create('c4', { IpcMode: 'container:c1' })), /non-shareable IPC/);
});

test('ContainerMounts.restore() refers again after an engine restart and holds for a running container', async () => {
  const container = await create('c1', { Binds: ['named:/data'] });
  const again = new LocalVolumes({ records, events, syscall, dataRoot: join(directory, 'data') });
  const restored = new ContainerMounts({
    volumes: again,
    events,
    syscall,
    dataRoot: join(directory, 'data'),
    execRoot: join(directory, 'exec'),
  });
  await restored.restore(container, true);
  assert.deepEqual(again.referrers('named'), ['c1']);
  await restored.forget(container, { removeAnonymous: false });
  await assert.rejects(again.remove('named', false), /volume is in use/);
  await restored.release(container);
  await again.remove('named', false);
});
