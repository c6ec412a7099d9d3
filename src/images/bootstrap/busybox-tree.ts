import { EngineError } from '../../errors/index.ts';
import type { TarSource } from '../../archive/index.ts';

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`;

const group = `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
wheel:x:10:root
mail:x:8:
kmem:x:9:
dialout:x:18:
floppy:x:19:
video:x:28:
audio:x:29:
www-data:x:33:
operator:x:37:
users:x:100:
nogroup:x:65534:
`;

const directories: readonly [path: string, mode: number][] = [
  ['bin', 0o755],
  ['dev', 0o755],
  ['etc', 0o755],
  ['home', 0o755],
  ['lib', 0o755],
  ['mnt', 0o755],
  ['opt', 0o755],
  ['proc', 0o755],
  ['root', 0o700],
  ['run', 0o755],
  ['sbin', 0o755],
  ['srv', 0o755],
  ['sys', 0o755],
  ['tmp', 0o1777],
  ['usr', 0o755],
  ['usr/bin', 0o755],
  ['usr/lib', 0o755],
  ['usr/local', 0o755],
  ['usr/local/bin', 0o755],
  ['usr/sbin', 0o755],
  ['var', 0o755],
  ['var/cache', 0o755],
  ['var/lib', 0o755],
  ['var/log', 0o755],
  ['var/spool', 0o755],
  ['var/spool/mail', 0o755],
  ['var/tmp', 0o1777],
  ['var/www', 0o755],
];

/** A complete small root file system around a static busybox; equal programs give equal trees. */
export function busyboxTree(program: Buffer, mtimeSeconds: number): TarSource[] {
  const applets = appletNames(program);
  const file = (path: string, text: string): TarSource => ({
    path,
    type: 'file',
    mode: 0o644,
    mtimeSeconds,
    body: Buffer.from(text),
  });
  const members: TarSource[] = [
    ...directories.map(([path, mode]): TarSource => ({
      path: `${path}/`,
      type: 'directory',
      mode,
      mtimeSeconds,
    })),
    { path: 'bin/busybox', type: 'file', mode: 0o755, mtimeSeconds, body: program },
    ...applets.map((name): TarSource => ({
      path: `bin/${name}`,
      type: 'symlink',
      mode: 0o777,
      mtimeSeconds,
      linkPath: 'busybox',
    })),
    file('etc/group', group),
    file('etc/nsswitch.conf', 'hosts: files dns\n'),
    file('etc/passwd', passwd),
    file('etc/shadow', shadow()),
    // Scripts name these two interpreters by their usual paths.
    { path: 'usr/bin/env', type: 'symlink', mode: 0o777, mtimeSeconds, linkPath: '../../bin/env' },
    { path: 'var/run', type: 'symlink', mode: 0o777, mtimeSeconds, linkPath: '../run' },
  ];
  for (const member of members) if (member.path === 'etc/shadow') member.mode = 0o640;
  return members.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function shadow(): string {
  return passwd
    .trimEnd()
    .split('\n')
    .map((line) => `${line.split(':', 1)[0]}:*:::::::\n`)
    .join('');
}

/**
 * The commands in a busybox program, from the table it searches itself: names in ascending order, each ended by a zero
 * byte, the table by another. Reading it costs no process.
 * @throws {EngineError} `unavailable` when there is no such table
 */
export function appletNames(program: Buffer): string[] {
  const start = program.indexOf('\0[\0[[\0');
  const names: string[] = [];
  if (start !== -1) {
    for (let at = start + 1; program[at] !== 0 && at < program.length;) {
      const end = program.indexOf(0, at);
      if (end === -1 || end - at > 64) break;
      names.push(program.toString('latin1', at, end));
      at = end + 1;
    }
  }
  const clean = names.filter((name) => /^[a-z0-9[][a-z0-9_.[-]*$/i.test(name) && name !== 'busybox');
  if (!['sh', 'ls', 'cat'].every((name) => clean.includes(name))) {
    throw new EngineError(
      'unavailable',
      'Cannot bootstrap busybox: no table of its commands in the program',
      {
        code: 'unknown-busybox',
      },
    );
  }
  return clean;
}

/** True for an ELF program that needs no dynamic loader (no PT_INTERP among its program headers). */
export function isStaticProgram(program: Buffer): boolean {
  if (program.length < 64 || program.toString('latin1', 0, 4) !== '\x7fELF') return false;
  if (program[4] !== 2 || program[5] !== 1) return false;
  const offset = Number(program.readBigUInt64LE(32));
  const size = program.readUInt16LE(54);
  const count = program.readUInt16LE(56);
  for (let index = 0; index < count; index += 1) {
    const at = offset + index * size;
    if (at + 4 > program.length) return false;
    if (program.readUInt32LE(at) === 3) return false;
  }
  return true;
}
