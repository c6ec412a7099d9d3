import { EngineError } from '../../errors/index.ts';
import type { RuntimeProcess } from '../../spec/index.ts';
import { readTextInRoot } from './root-files.ts';

const maxId = 2 ** 31 - 1;

export interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

export interface GroupEntry {
  name: string;
  gid: number;
  members: string[];
}

/** passwd(5). Lines that are short or hold no number are read as far as they go, as Docker reads them. */
export function parsePasswd(text: string): PasswdEntry[] {
  return lines(text).map((line) => {
    const [name = '', , uid, gid, , home = ''] = line.split(':');
    return { name, uid: number(uid), gid: number(gid), home };
  });
}

/** group(5). */
export function parseGroups(text: string): GroupEntry[] {
  return lines(text)
    .filter((line) => !line.startsWith('#'))
    .map((line) => {
      const [name = '', , gid, members = ''] = line.split(':');
      return { name, gid: number(gid), members: members === '' ? [] : members.split(',') };
    });
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function number(text: string | undefined): number {
  return text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : 0;
}

/** An id given by number; undefined for a name. */
function idOf(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id < 0 || id > maxId)
    throw new EngineError('invalid-parameter', `uids and gids must be in range 0-${maxId}`);
  return id;
}

export interface ResolvedUser {
  user: RuntimeProcess['user'];
  home: string;
}

/**
 * Who `user[:group]` is, by the container's own files. A name must be there, a number need not; without `:group` the
 * user's groups come along; the primary group is always in the list too (else a file could deny it to the group and
 * grant it to others: CVE-2022-36109).
 * @throws {EngineError} `invalid-parameter` with Docker's texts.
 */
export function resolveUser(
  specification: string,
  groupAdd: readonly string[],
  passwdText: string | undefined,
  groupText: string | undefined,
): ResolvedUser {
  const [userPart = '', groupPart = ''] = specification.split(':');
  const wantedUid = userPart === '' ? 0 : idOf(userPart);
  const wantedGid = groupPart === '' ? undefined : idOf(groupPart);
  const groups = groupText === undefined ? [] : parseGroups(groupText);

  const entry = parsePasswd(passwdText ?? '').find((candidate) =>
    wantedUid === undefined ? candidate.name === userPart : candidate.uid === wantedUid,
  );
  if (entry === undefined && wantedUid === undefined)
    throw new EngineError(
      'invalid-parameter',
      `unable to find user ${userPart}: no matching entries in passwd file`,
    );
  const uid = entry?.uid ?? wantedUid ?? 0;
  let gid = entry?.gid ?? 0;
  const others: number[] = [];
  if (groupPart !== '') {
    gid = findGroup(groups, groupPart, wantedGid);
  } else if (entry !== undefined && entry.name !== '') {
    for (const group of groups) if (group.members.includes(entry.name)) others.push(group.gid);
  }
  for (const added of groupAdd) {
    const id = findGroup(groups, added, idOf(added));
    if (!others.includes(id)) others.push(id);
  }
  return { user: { uid, gid, additionalGids: [gid, ...others] }, home: entry?.home || '/' };
}

function findGroup(groups: readonly GroupEntry[], wanted: string, id: number | undefined): number {
  const found = groups.find((group) => (id === undefined ? group.name === wanted : group.gid === id));
  if (found !== undefined) return found.gid;
  if (id !== undefined) return id;
  throw new EngineError(
    'invalid-parameter',
    `unable to find group ${wanted}: no matching entries in group file`,
  );
}

/** As resolveUser, with /etc/passwd and /etc/group of the file system at `rootPath`. */
export function resolveUserInRoot(
  rootPath: string,
  specification: string,
  groupAdd: readonly string[],
): ResolvedUser {
  return resolveUser(
    specification,
    groupAdd,
    readTextInRoot(rootPath, '/etc/passwd'),
    readTextInRoot(rootPath, '/etc/group'),
  );
}
