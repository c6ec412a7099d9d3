import type { SpawnOptions } from '../process.ts';
import { cString, libc, optionalLibc, syscallError } from './libc.ts';

const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
const O_RDWR = 2;

const posixSpawnFunction = libc<
  (
    pid: number[],
    path: string,
    actions: Buffer,
    attributes: Buffer,
    argv: (string | null)[],
    envp: (string | null)[],
  ) => number
>(
  'int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char **argv, const char **envp)',
);
const actionsInit = libc<(actions: Buffer) => number>('int posix_spawn_file_actions_init(void *actions)');
const actionsDestroy = libc<(actions: Buffer) => number>(
  'int posix_spawn_file_actions_destroy(void *actions)',
);
const addDup2 = libc<(actions: Buffer, fd: number, newFd: number) => number>(
  'int posix_spawn_file_actions_adddup2(void *actions, int fd, int newFd)',
);
const addClose = libc<(actions: Buffer, fd: number) => number>(
  'int posix_spawn_file_actions_addclose(void *actions, int fd)',
);
const addOpen = libc<(actions: Buffer, fd: number, path: string, flags: number, mode: number) => number>(
  'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, unsigned int mode)',
);
const addChdir = libc<(actions: Buffer, path: string) => number>(
  'int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)',
);
const addCloseFrom = optionalLibc<(actions: Buffer, from: number) => number>(
  'int posix_spawn_file_actions_addclosefrom_np(void *actions, int from)',
);
const attributesInit = libc<(attributes: Buffer) => number>('int posix_spawnattr_init(void *attributes)');
const setFlags = libc<(attributes: Buffer, flags: number) => number>(
  'int posix_spawnattr_setflags(void *attributes, short flags)',
);
const setSigDefault = libc<(attributes: Buffer, set: Buffer) => number>(
  'int posix_spawnattr_setsigdefault(void *attributes, void *set)',
);
const setSigMask = libc<(attributes: Buffer, set: Buffer) => number>(
  'int posix_spawnattr_setsigmask(void *attributes, void *set)',
);

// sizeof(posix_spawn_file_actions_t) is 80 and sizeof(posix_spawnattr_t) 336 in glibc; sigset_t is 128 bytes.
const actionsBytes = 256;
const attributesBytes = 512;
const signalSetBytes = 128;

/** @returns the pid of the new child @throws {SyscallError} when it cannot be started */
export function posixSpawn(options: SpawnOptions): number {
  const path = cString(options.path, 'posix_spawn');
  const argv = options.argv.map((argument) => cString(argument, 'posix_spawn'));
  const env = Object.entries(options.env ?? {}).map(([key, value]) =>
    cString(`${key}=${value}`, 'posix_spawn'),
  );
  const actions = Buffer.alloc(actionsBytes);
  succeed(actionsInit(actions));
  try {
    addDescriptors(actions, options.fds ?? {});
    if (options.cwd !== undefined) succeed(addChdir(actions, cString(options.cwd, 'posix_spawn')));
    const pid = [0];
    const attributes = options.newSession === true ? sessionAttributes() : plainAttributes();
    const number = posixSpawnFunction(pid, path, actions, attributes, [...argv, null], [...env, null]);
    if (number !== 0) throw syscallError('posix_spawn', number, path);
    return pid[0] as number;
  } finally {
    actionsDestroy(actions);
  }
}

/** The actions that give the child exactly these descriptors, in an order in which none overwrites one still needed. */
export function descriptorPlan(
  fds: Readonly<Record<number, number | 'null'>>,
): { kind: 'dup2' | 'null' | 'close' | 'closefrom'; fd: number; source: number }[] {
  const wanted = new Map<number, number | 'null'>([
    [0, 'null'],
    [1, 'null'],
    [2, 'null'],
  ]);
  for (const [target, source] of Object.entries(fds)) wanted.set(Number(target), source);
  const plan: ReturnType<typeof descriptorPlan> = [];
  const last = Math.max(...wanted.keys());
  let spare = Math.max(last, ...[...wanted.values()].map((source) => (source === 'null' ? 0 : source))) + 1;
  const moved = new Map<number, number>();
  for (const [target, source] of wanted) {
    // Somebody else's target: move it out of the way first.
    if (source === 'null' || source === target || !wanted.has(source) || moved.has(source)) continue;
    moved.set(source, spare);
    plan.push({ kind: 'dup2', fd: spare, source });
    spare++;
  }
  for (const [target, source] of wanted) {
    if (source === 'null') plan.push({ kind: 'null', fd: target, source: -1 });
    // To itself: posix_spawn takes CLOEXEC off.
    else
      plan.push({
        kind: 'dup2',
        fd: target,
        source: source === target ? source : (moved.get(source) ?? source),
      });
  }
  for (let fd = 3; fd < last; fd++) if (!wanted.has(fd)) plan.push({ kind: 'close', fd, source: -1 });
  for (const fd of moved.values()) plan.push({ kind: 'close', fd, source: -1 });
  plan.push({ kind: 'closefrom', fd: last + 1, source: -1 });
  return plan;
}

function addDescriptors(actions: Buffer, fds: Readonly<Record<number, number | 'null'>>): void {
  for (const { kind, fd, source } of descriptorPlan(fds)) {
    if (kind === 'dup2') succeed(addDup2(actions, source, fd));
    else if (kind === 'null') succeed(addOpen(actions, fd, '/dev/null', O_RDWR, 0));
    else if (kind === 'close') succeed(addClose(actions, fd));
    // Before glibc 2.34: all that we open is CLOEXEC anyway, this is for what we inherited.
    else addCloseFrom()?.(actions, fd);
  }
}

/** Node ignores SIGPIPE and may block signals: the child starts with none blocked and all at their defaults. */
function makeAttributes(flags: number): Buffer {
  const attributes = Buffer.alloc(attributesBytes);
  succeed(attributesInit(attributes));
  succeed(setSigDefault(attributes, Buffer.alloc(signalSetBytes, 0xff)));
  succeed(setSigMask(attributes, Buffer.alloc(signalSetBytes)));
  succeed(setFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | flags));
  return attributes;
}

let plain: Buffer | undefined;
let session: Buffer | undefined;
const plainAttributes = (): Buffer => (plain ??= makeAttributes(0));
const sessionAttributes = (): Buffer => (session ??= makeAttributes(POSIX_SPAWN_SETSID));

function succeed(number: number): void {
  if (number !== 0) throw syscallError('posix_spawn', number);
}
