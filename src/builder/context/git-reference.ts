import { EngineError } from '../../errors/index.ts';

/** A place in a git repository: `https://host/repo.git#ref:subdir`. */
export interface GitReference {
  /** What git is told: without fragment and query. */
  remote: string;
  /** Branch, tag or commit; '' for the repository's default. */
  ref: string;
  /** Within the repository, '' for its root. */
  subdir: string;
  /** A commit, or the beginning of one, that it must be; '' for any. */
  checksum: string;
  keepGitDir: boolean | undefined;
  submodules: boolean;
}

const scpStyle = /^(?:[A-Za-z0-9_.-]+@)[A-Za-z0-9_.-]+:(?!\/\/)[^\s]+$/;

/**
 * Understands the ways to name a git repository: `git://`, `ssh://`, `user@host:path`, and `http(s)://….git`, each with
 * `#ref:subdir` or BuildKit's queries (`?ref=`, `?tag=`, `?branch=`, `?subdir=`, `?checksum=`, `?keep-git-dir`, `?submodules`).
 * @param context as the context of a build `github.com/…` is a repository, too
 * @returns undefined for what is no repository
 * @throws {EngineError} `invalid-parameter`
 */
export function parseGitReference(text: string, context = false): GitReference | undefined {
  const full = context && text.startsWith('github.com/') ? `https://${text}` : text;
  const [beforeFragment, fragment] = splitOnce(full, '#');
  const [remote, query] = splitOnce(beforeFragment, '?');
  const scheme = /^([A-Za-z0-9]+):\/\//.exec(remote)?.[1]?.toLowerCase();
  const isShort = full !== text;
  if (scheme === 'http' || scheme === 'https') {
    if (!isShort && !remote.endsWith('.git')) return undefined;
  } else if (scheme !== 'git' && scheme !== 'ssh' && !(scheme === undefined && scpStyle.test(remote))) {
    return undefined;
  }
  const [ref, subdir] = splitOnce(fragment, ':');
  const reference: GitReference = {
    remote,
    ref,
    subdir: clean(subdir),
    checksum: '',
    keepGitDir: undefined,
    submodules: true,
  };
  applyQuery(reference, query);
  // git would take them for options.
  for (const value of [reference.remote, reference.ref, reference.checksum]) {
    if (value.startsWith('-')) throw invalid(`invalid git reference ${JSON.stringify(value)}`);
  }
  return reference;
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function applyQuery(reference: GitReference, query: string): void {
  const given = new URLSearchParams(query);
  for (const name of new Set(given.keys())) {
    const [value = '', ...others] = given.getAll(name);
    if (others.length > 0) throw invalid(`query ${JSON.stringify(name)} has multiple values`);
    const isSwitch = name === 'keep-git-dir' || name === 'submodules';
    if (value === '' && !isSwitch) throw invalid(`query ${JSON.stringify(name)} has no value`);
    switch (name) {
      case 'ref':
        setOnce(reference, 'ref', value);
        break;
      case 'tag':
      case 'branch': {
        const prefix = name === 'tag' ? 'refs/tags/' : 'refs/heads/';
        if (name === 'branch' && given.has('tag')) throw invalid('branch conflicts with tag');
        setOnce(reference, 'ref', value.startsWith(prefix) ? value : `${prefix}${value}`);
        break;
      }
      case 'subdir':
        setOnce(reference, 'subdir', clean(value));
        break;
      case 'checksum':
      case 'commit':
        reference.checksum = value;
        break;
      case 'keep-git-dir':
        reference.keepGitDir = isTrue(name, value);
        break;
      case 'submodules':
        reference.submodules = isTrue(name, value);
        break;
      default:
        throw invalid(`unexpected query ${JSON.stringify(name)}`);
    }
  }
}

function setOnce(reference: GitReference, field: 'ref' | 'subdir', value: string): void {
  const before = reference[field];
  if (before !== '' && before !== value) {
    throw invalid(`${field} conflicts: ${JSON.stringify(before)} vs ${JSON.stringify(value)}`);
  }
  reference[field] = value;
}

function isTrue(name: string, value: string): boolean {
  if (['', '1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  throw invalid(`invalid ${name} value: ${JSON.stringify(value)}`);
}

/** Without `.` and `..`: it cannot lead out. */
function clean(subdir: string): string {
  const parts: string[] = [];
  for (const part of subdir.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}

/** For messages and logs: a URL without the user and password that may be in it. */
export function withoutCredentials(url: string): string {
  return url.replace(/^([A-Za-z0-9+.-]+:\/\/)[^/@]*@/, '$1');
}
