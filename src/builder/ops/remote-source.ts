import { statSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import { checkOut } from '../context/git.ts';
import { parseGitReference } from '../context/git-reference.ts';
import type { CopySource } from './copy-sources.ts';
import { download } from './download.ts';

/** Something that ADD fetched. */
export interface RemoteSource {
  source: CopySource;
  /** Of a repository; undefined for a download. What it holds is told by it, whatever git wrote beside the files. */
  commit: string | undefined;
  /** Of a download, `sha256:<hex>`; '' for a repository. */
  digest: string;
}

/** True for what ADD fetches and COPY refuses. */
export function isRemote(word: string): boolean {
  return /^(?:https?|git|ssh):\/\//.test(word) || parseGitReference(word) !== undefined;
}

/**
 * Fetches what ADD names: a git repository, or a file by http.
 * @throws {EngineError} `invalid-parameter` with Docker's text
 */
export async function fetchSource(
  word: string,
  directory: string,
  options: { checksum: string; keepGitDir: boolean; needsName: boolean; signal: AbortSignal },
): Promise<RemoteSource> {
  const git = parseGitReference(word);
  if (git === undefined) return { ...(await download(word, directory, options)), commit: undefined };
  const { checksum, signal } = options;
  if (checksum !== '' && git.checksum !== '' && checksum !== git.checksum) {
    throw new EngineError('invalid-parameter', `checksum mismatch "${checksum}" != "${git.checksum}"`);
  }
  const commit = await checkOut({ ...git, checksum: checksum || git.checksum }, directory, {
    keepGitDir: git.keepGitDir ?? options.keepGitDir,
    signal,
  });
  return { source: { path: directory, name: '', shown: '', stat: statSync(directory) }, commit, digest: '' };
}
