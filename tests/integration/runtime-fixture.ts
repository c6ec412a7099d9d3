import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { RuntimeSpec } from '../../src/spec/index.ts';
import { createSpawner, createWatcher, LinuxCgroups, linuxSyscall } from '../../src/sys/index.ts';
import { ConmonRuntime } from '../../src/runtime/index.ts';

const applets = [
  'sh',
  'true',
  'cat',
  'sleep',
  'echo',
  'head',
  'yes',
  'stty',
  'kill',
  'dd',
  'ls',
  'ps',
  'id',
  'wc',
  'tr',
];
const capabilities = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETGID', 'CAP_SETUID'];

/** A runtime over its own roots, with a busybox root file system; everything is gone after dispose(). */
export function runtimeFixture(options: { runtimePath?: string } = {}) {
  const name = `coracle-test-${randomBytes(4).toString('hex')}`;
  const execRoot = mkdtempSync('/run/coracle-runtime-test-');
  const rootfs = mkdtempSync('/var/tmp/coracle-runtime-test-');
  for (const directory of ['bin', 'dev', 'proc', 'sys', 'tmp', 'etc']) mkdirSync(join(rootfs, directory));
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'));
  for (const applet of applets) symlinkSync('busybox', join(rootfs, 'bin', applet));
  const syscall = linuxSyscall();
  const cgroups = new LinuxCgroups({ syscall });
  const watcher = createWatcher();
  const spawner = createSpawner();
  const open = (): ConmonRuntime =>
    new ConmonRuntime({
      syscall,
      spawner,
      watcher,
      cgroups,
      execRoot,
      cgroupDriver: cgroups.setup.driver,
      ...options,
    });
  const cgroupsPath = (id: string): string =>
    cgroups.setup.driver === 'systemd' ? `system.slice:${name}:${id}` : `/${name}/${id}`;
  const spec = (
    id: string,
    args: string[],
    change: { terminal?: boolean; memory?: number } = {},
  ): RuntimeSpec => ({
    ociVersion: '1.0.2',
    process: {
      terminal: change.terminal === true,
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        inheritable: [],
        permitted: capabilities,
        ambient: [],
      },
      noNewPrivileges: false,
    },
    root: { path: rootfs, readonly: false },
    hostname: 'test',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
    ],
    linux: {
      cgroupsPath: cgroupsPath(id),
      namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }, { type: 'network' }],
      devices: [],
      resources: change.memory === undefined ? {} : { memory: { limit: change.memory, swap: change.memory } },
    },
  });
  return {
    execRoot,
    rootfs,
    cgroups,
    watcher,
    spawner,
    syscall,
    open,
    spec,
    cgroupsPath,
    newId: (): string => randomBytes(32).toString('hex'),
    async dispose(): Promise<void> {
      const runtime = open();
      for (const id of await runtime.known()) {
        await runtime.adopt(id);
        await runtime.delete(id);
      }
      if (cgroups.setup.driver === 'cgroupfs') await cgroups.remove(`/${name}`);
      watcher.close();
      rmSync(execRoot, { recursive: true, force: true });
      rmSync(rootfs, { recursive: true, force: true });
    },
  };
}
