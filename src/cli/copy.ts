import { createReadStream, readdirSync, readlinkSync, lstatSync, type Stats } from 'node:fs';
import { chmod, lchown, link, lstat, lutimes, mkdir, open, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { readTar, writeTar, type TarEntry, type TarSource } from '../archive/index.ts';

/** Keeps the meaning of `dir/.` and `dir/` when a path is made absolute. */
export function absolute(path: string): string {
  const full = resolve(path);
  if (/(^|\/)\.$/.test(path)) return full === '/' ? '/.' : `${full}/.`;
  return path.endsWith('/') && full !== '/' ? `${full}/` : full;
}

/** True when a path says that a directory is meant. */
export function wantsDirectory(path: string): boolean {
  return /(^|\/)\.?$/.test(path);
}

function member(path: string, name: string, stat: Stats): TarSource {
  const common = {
    path: name,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtimeSeconds: Math.floor(stat.mtimeMs / 1000),
  };
  if (stat.isDirectory()) return { ...common, type: 'directory' };
  if (stat.isSymbolicLink()) return { ...common, type: 'symlink', linkPath: readlinkSync(path) };
  if (stat.isFIFO()) return { ...common, type: 'fifo' };
  return {
    ...common,
    type: 'file',
    sizeBytes: stat.size,
    // A file that grows meanwhile is cut at the size that its header says.
    body: stat.size === 0 ? [] : createReadStream(path, { end: stat.size - 1, highWaterMark: 1 << 18 }),
  };
}

function* members(path: string, name: string, follow: boolean): Generator<TarSource> {
  const stat = lstatSync(path);
  if (stat.isSocket() || stat.isCharacterDevice() || stat.isBlockDevice()) return;
  yield member(path, name, stat);
  if (stat.isDirectory()) {
    for (const child of readdirSync(path).toSorted())
      yield* members(join(path, child), `${name}/${child}`, follow);
  }
}

/** A file or directory as a tar stream whose top entry has this name. */
export function packPath(path: string, name: string): AsyncIterable<Uint8Array> {
  return writeTar(members(path, name, false));
}

/** Where the top entry of an archive goes. */
export interface UnpackPlace {
  /** An existing directory; nothing is written outside of it. */
  directory: string;
  /** The archive's top name, and what it becomes here ('' puts its contents straight into the directory). */
  from: string;
  to: string;
  /** Also set owners. */
  owners: boolean;
}

/**
 * Unpacks a tar stream from a container. The archive is not trusted: no entry is written through a symbolic link and none
 * outside of the directory.
 */
export async function unpack(archive: AsyncIterable<Uint8Array>, place: UnpackPlace): Promise<void> {
  const directories: { path: string; entry: TarEntry }[] = [];
  for await (const entry of readTar(archive)) {
    const target = await targetOf(entry.path, place);
    if (target === null) continue;
    await write(entry, target, place);
    if (entry.type === 'directory') directories.push({ path: target, entry });
  }
  // Writing into a directory changes its time, so directories come last.
  for (const { path, entry } of directories.toReversed())
    await lutimes(path, entry.mtimeSeconds, entry.mtimeSeconds);
}

async function targetOf(name: string, place: UnpackPlace): Promise<string | null> {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new Error(`refusing to unpack ${name}: it leaves the destination`);
  if (parts[0] === place.from || place.from === '/') {
    if (place.from !== '/') parts.shift();
    if (place.to !== '') parts.unshift(place.to);
  }
  if (parts.length === 0) return null;
  let path = place.directory;
  for (const part of parts.slice(0, -1)) {
    path = join(path, part);
    const stat = await lstat(path).catch(() => null);
    if (stat === null) await mkdir(path, { recursive: true });
    else if (stat.isSymbolicLink()) throw new Error(`refusing to unpack ${name}: ${path} is a symbolic link`);
  }
  return join(path, parts.at(-1) ?? '');
}

async function write(entry: TarEntry, path: string, place: UnpackPlace): Promise<void> {
  const existing = await lstat(path).catch(() => null);
  if (entry.type === 'directory') {
    if (existing === null) await mkdir(path);
    else if (!existing.isDirectory())
      throw new Error(`cannot overwrite non-directory ${JSON.stringify(path)} with directory`);
    await finish(entry, path, place);
    return;
  }
  if (existing?.isDirectory())
    throw new Error(`cannot overwrite directory ${JSON.stringify(path)} with non-directory`);
  if (existing !== null) await rm(path);
  switch (entry.type) {
    case 'file': {
      const file = await open(path, 'wx', 0o600);
      try {
        for await (const chunk of entry.body()) await file.writeFile(chunk);
      } finally {
        await file.close();
      }
      break;
    }
    case 'symlink':
      await symlink(entry.linkPath, path);
      break;
    case 'hardlink': {
      const original = await targetOf(entry.linkPath, place);
      if (original === null) throw new Error(`refusing to unpack ${entry.path}: it is a link to nothing`);
      await link(original, path);
      return;
    }
    default:
      // Devices of a container are nothing to make on the host.
      return;
  }
  await finish(entry, path, place);
}

async function finish(entry: TarEntry, path: string, { owners }: UnpackPlace): Promise<void> {
  if (owners) await lchown(path, entry.uid, entry.gid);
  if (entry.type !== 'symlink') await chmod(path, entry.mode & 0o7777);
  if (entry.type !== 'directory') await lutimes(path, entry.mtimeSeconds, entry.mtimeSeconds);
}

/** Directory and last name of a path that may end in `/` or `/.`. */
export function splitPath(path: string): [string, string] {
  const plain = path.replace(/(\/\.?)+$/, '') || '/';
  return [dirname(plain), plain === '/' ? '/' : basename(plain)];
}
