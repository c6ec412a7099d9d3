import { spawn } from 'node:child_process';
import { lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import { realPathIn } from '../ops/real-path.ts';
import { withoutCredentials, type GitReference } from './git-reference.ts';

const FULL_COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** Enough of what git says to see what went wrong. */
const MAX_STDERR_BYTES = 4096;

/**
 * Checks a repository out by the program `git`, which must be installed: one commit deep where the server can do that.
 * @param directory is made; holds the files of `reference.subdir` alone when this returns
 * @returns the commit
 * @throws {EngineError} `not-implemented` without git; `invalid-parameter` when it cannot be fetched. Messages name no password.
 */
export async function checkOut(
  reference: GitReference,
  directory: string,
  options: { keepGitDir: boolean; signal: AbortSignal },
): Promise<string> {
  const shown = withoutCredentials(reference.remote);
  const work = `${directory}.git-work`;
  mkdirSync(work, { mode: 0o755 });
  try {
    const git = (...words: string[]): Promise<string> => runGit(work, words, options.signal);
    await git('init', '--quiet', '.');
    await git('remote', 'add', 'origin', reference.remote);
    const commit = await fetchCommit(git, reference);
    if (reference.checksum !== '' && !commit.startsWith(reference.checksum)) {
      throw new EngineError(
        'invalid-parameter',
        `expected checksum to match ${reference.checksum}, got ${commit}`,
      );
    }
    await git('checkout', '--quiet', '--detach', commit);
    if (reference.submodules && lstatSync(`${work}/.gitmodules`, { throwIfNoEntry: false })?.isFile()) {
      await git('submodule', 'update', '--quiet', '--init', '--recursive', '--depth=1');
    }
    if (!options.keepGitDir) rmSync(`${work}/.git`, { recursive: true, force: true });
    const real = realPathIn(work, reference.subdir);
    const place = real === '' ? work : `${work}/${real}`;
    if (lstatSync(place, { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new EngineError(
        'invalid-parameter',
        `failed to read downloaded context: failed to load cache key: subdir not found: ${reference.subdir} in ${shown}`,
      );
    }
    renameSync(place, directory);
    return commit;
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof GitFailure) {
      throw new EngineError(
        'invalid-parameter',
        `failed to fetch remote ${shown}: ${hideCredentials(error.message, reference.remote)}`,
      );
    }
    throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

class GitFailure extends Error {}

async function fetchCommit(
  git: (...words: string[]) => Promise<string>,
  { ref, checksum }: GitReference,
): Promise<string> {
  const wanted = ref || (FULL_COMMIT.test(checksum) ? checksum : 'HEAD');
  try {
    await git('fetch', '--quiet', '--depth=1', '--no-tags', 'origin', '--', wanted);
    return await head(git, 'FETCH_HEAD');
  } catch (error) {
    // Not every server gives single commits or shallow histories: all of it, then.
    if (!(error instanceof GitFailure) || error.message.includes('could not read')) throw error;
    await git('fetch', '--quiet', '--tags', 'origin', '--', '+refs/heads/*:refs/remotes/origin/*');
  }
  if (wanted === 'HEAD') {
    await git('remote', 'set-head', 'origin', '--auto');
    return await head(git, 'refs/remotes/origin/HEAD');
  }
  const candidates = wanted.startsWith('refs/heads/')
    ? [`refs/remotes/origin/${wanted.slice('refs/heads/'.length)}`]
    : wanted.startsWith('refs/')
      ? [wanted]
      : [`refs/remotes/origin/${wanted}`, `refs/tags/${wanted}`, wanted];
  for (const candidate of candidates) {
    try {
      return await head(git, candidate);
    } catch (error) {
      if (!(error instanceof GitFailure)) throw error;
    }
  }
  throw new GitFailure(`repository does not contain ref ${wanted}`);
}

async function head(git: (...words: string[]) => Promise<string>, name: string): Promise<string> {
  return (await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`)).trim();
}

/** Without the configuration of this machine and its users, without asking, without hooks. */
const environment = {
  PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
  LC_ALL: 'C',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ASKPASS: 'true',
  GIT_SSH_COMMAND: 'ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new',
  GIT_ALLOW_PROTOCOL: 'git:http:https:ssh',
} as const;

function runGit(directory: string, words: readonly string[], signal: AbortSignal): Promise<string> {
  const fixed = ['-c', 'core.hooksPath=/dev/null', '-c', 'gc.auto=0', '-c', 'init.defaultBranch=main'];
  return new Promise((resolve, reject) => {
    const child = spawn('git', [...fixed, ...words], {
      cwd: directory,
      env: { ...environment, ...proxies() },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let output = '';
    let problem = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      problem = (problem + text).slice(-MAX_STDERR_BYTES);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT' && error.path === 'git';
      reject(
        missing
          ? new EngineError(
              'not-implemented',
              'Cannot fetch a git repository: the program git is not installed on the engine’s machine',
            )
          : error,
      );
    });
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new GitFailure(problem.trim() || `git ${words[0]} failed with exit status ${code}`));
    });
  });
}

function proxies(): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy', 'all_proxy'];
  const found: Record<string, string> = {};
  for (const name of names.flatMap((lower) => [lower, lower.toUpperCase()])) {
    const value = process.env[name];
    if (value !== undefined) found[name] = value;
  }
  return found;
}

function hideCredentials(text: string, remote: string): string {
  return text.replaceAll(remote, withoutCredentials(remote));
}
