import { closeSync, constants } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import { readRegularText, type Syscall } from '../../sys/index.ts';

export interface FileOwner {
  uid: number;
  gid: number;
}

/**
 * What `--chown=user[:group]` means in a root file system: numbers, or names from its passwd and group files. Without a
 * group a named user's own counts, and for a number the same number.
 * @throws {EngineError} `invalid-parameter` for a name that is not there
 */
export function resolveOwner(syscall: Syscall, root: string, text: string): FileOwner {
  const [user = '', group, more] = text.split(':');
  if (user === '' || more !== undefined) {
    throw unknown(`invalid chown string format: ${text}`);
  }
  let uid: number;
  let ownGid: number;
  if (/^\d+$/.test(user)) {
    uid = ownGid = Number(user);
  } else {
    const line = findLine(syscall, root, 'etc/passwd', user);
    if (line === undefined) throw unknown(`can't find uid for user ${user}: no such user: ${user}`);
    uid = Number(line[2]);
    ownGid = Number(line[3]);
  }
  if (group === undefined || group === '') return { uid, gid: ownGid };
  if (/^\d+$/.test(group)) return { uid, gid: Number(group) };
  const line = findLine(syscall, root, 'etc/group', group);
  if (line === undefined) throw unknown(`can't find gid for group ${group}: no such group: ${group}`);
  return { uid, gid: Number(line[2]) };
}

function unknown(why: string): EngineError {
  return new EngineError(
    'invalid-parameter',
    `unable to convert uid/gid chown string to host mapping: ${why}`,
  );
}

function findLine(syscall: Syscall, root: string, path: string, name: string): string[] | undefined {
  return readTextIn(syscall, root, path)
    ?.split('\n')
    .map((line) => line.split(':'))
    .find((fields) => fields[0] === name);
}

/** The text of a regular file in a tree whose links are not trusted. */
export function readTextIn(syscall: Syscall, root: string, path: string): string | undefined {
  let fd: number;
  try {
    fd = syscall.openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    return readRegularText(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * `--chmod`: octal (`0644`) or symbolic (`u=rwX,go=rX`). Gives the new mode of an entry.
 * @throws {EngineError} `invalid-parameter`
 */
export function parseChmod(text: string): (mode: number, isDirectory: boolean) => number {
  if (/^[0-7]{1,4}$/.test(text)) {
    const mode = parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(',').map((clause) => {
    const match = /^([ugoa]*)((?:[-+=][rwxXst]*)+)$/.exec(clause);
    if (match === null) {
      throw new EngineError(
        'invalid-parameter',
        `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
      );
    }
    return { who: match[1] || 'a', actions: [...(match[2] ?? '').matchAll(/([-+=])([rwxXst]*)/g)] };
  });
  return (before, isDirectory) => {
    let mode = before;
    for (const { who, actions } of clauses) {
      for (const [, operator, letters = ''] of actions) {
        const bits = modeBits(letters, who, mode, isDirectory);
        if (operator === '+') mode |= bits;
        else if (operator === '-') mode &= ~bits;
        else mode = (mode & ~modeBits('rwx', who, mode, isDirectory)) | bits;
      }
    }
    return mode;
  };
}

function modeBits(letters: string, who: string, mode: number, isDirectory: boolean): number {
  let bits = 0;
  for (const letter of letters) {
    const executable = isDirectory || (mode & 0o111) !== 0;
    const base =
      letter === 'r' ? 4 : letter === 'w' ? 2 : letter === 'x' || (letter === 'X' && executable) ? 1 : 0;
    for (const [class_, shift] of [
      ['u', 6],
      ['g', 3],
      ['o', 0],
    ] as const) {
      if (who.includes(class_) || who.includes('a')) bits |= base << shift;
    }
    if (letter === 't') bits |= 0o1000;
    if (letter === 's') bits |= (/[ua]/.test(who) ? 0o4000 : 0) | (/[ga]/.test(who) ? 0o2000 : 0);
  }
  return bits;
}
