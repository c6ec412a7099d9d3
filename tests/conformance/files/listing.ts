import { createHash } from 'node:crypto';
import { readTar, type TarEntry } from '../../../src/archive/index.ts';

/** A file in one line, by its path in the archive. Lines of a listing are in the archive's order. */
export type Listing = Record<string, string>;

const letters: Readonly<Record<string, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  hardlink: 'h',
  'char-device': 'c',
  'block-device': 'b',
  fifo: 'p',
};

/**
 * What an archive says of each of its files. Times after `since` are those of the run, and only said to be.
 * @param since seconds
 */
export async function listTar(archive: Uint8Array, since: number): Promise<Listing> {
  const list: Listing = {};
  const once = async function* (): AsyncGenerator<Uint8Array> {
    yield archive;
  };
  for await (const entry of readTar(once()))
    list[Buffer.from(entry.path).toString('utf8')] = await line(entry, since);
  return list;
}

async function line(entry: TarEntry, since: number): Promise<string> {
  const { type, mode, uid, gid, mtimeSeconds, mtimeNanos, linkPath, deviceMajor, deviceMinor, xattrs } =
    entry;
  // dockerd writes a deletion with the time of its making, or with the mode of a directory: they mean nothing.
  if (/(?:^|\/)\.wh\.[^/]*$/.test(entry.path)) return 'deletion';
  const isRecent = mtimeSeconds >= since && mtimeSeconds < since + 100_000;
  const time = isRecent ? 'now' : `${mtimeSeconds}${mtimeNanos === 0 ? '' : `.${mtimeNanos}`}`;
  const words = [letters[type] ?? type, mode.toString(8), `${uid}:${gid}`, type === 'hardlink' ? '' : time];
  if (type === 'file') words.push(String(entry.sizeBytes), await digest(entry));
  if (linkPath !== '') words.push(`-> ${linkPath}`);
  if (type.endsWith('device')) words.push(`${deviceMajor},${deviceMinor}`);
  // dockerd loses all other attributes in commit, export and cp; here they are kept.
  const capability = xattrs?.get('security.capability');
  if (capability !== undefined) words.push(`capability=${capability.toString('hex')}`);
  return words.filter((word) => word !== '').join(' ');
}

async function digest(entry: TarEntry): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of entry.body()) hash.update(chunk);
  return hash.digest('hex').slice(0, 12);
}
