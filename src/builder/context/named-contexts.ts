import { lstatSync, mkdirSync } from 'node:fs';
import type { UnpackLimits } from '../../archive/index.ts';
import { EngineError } from '../../errors/index.ts';
import { familiarReference, parseReference } from '../../spec/index.ts';
import type { Syscall } from '../../sys/index.ts';
import type { NamedContext } from '../builder.ts';
import { realPathIn } from '../ops/real-path.ts';
import type { KeptContexts } from './kept-contexts.ts';
import type { SourceFiles } from './source-files.ts';
import { unpackContext } from './build-context.ts';
import { checkOut } from './git.ts';
import { parseGitReference } from './git-reference.ts';
import { fetchRemote } from './http.ts';

export interface NamedContextsOptions {
  /** Fetched ones go below it. */
  directory: string;
  /** Where those are that came with the context. */
  sentDirectory: string;
  syscall: Syscall;
  limits: UnpackLimits;
  signal: AbortSignal;
  files: SourceFiles;
  reusable: KeptContexts;
}

/** The contexts of one build that have names. What has to be fetched is fetched when it is first needed, once. */
export class NamedContexts {
  readonly #contexts: ReadonlyMap<string, NamedContext>;
  readonly #options: NamedContextsOptions;
  readonly #directories = new Map<string, Promise<string>>();

  constructor(contexts: ReadonlyMap<string, NamedContext> | undefined, options: NamedContextsOptions) {
    this.#contexts = new Map([...(contexts ?? [])].map(([name, context]) => [normalName(name), context]));
    this.#options = options;
  }

  find(name: string): NamedContext | undefined {
    return this.#contexts.size === 0 ? undefined : this.#contexts.get(normalName(name));
  }

  /** The files of one that is no image. @throws {EngineError} `invalid-parameter` */
  directory(name: string, context: Exclude<NamedContext, { kind: 'image' }>): Promise<string> {
    const key = normalName(name);
    let directory = this.#directories.get(key);
    if (directory === undefined) {
      directory = this.#open(key, context);
      this.#directories.set(key, directory);
    }
    return directory;
  }

  async #open(name: string, context: Exclude<NamedContext, { kind: 'image' }>): Promise<string> {
    const { sentDirectory, signal } = this.#options;
    if (context.kind === 'sent') {
      const path = `contexts/${context.number}`;
      const sent = `${sentDirectory}/${path}`;
      // A link on the way would lead out.
      const isThere = lstatSync(sent, { throwIfNoEntry: false })?.isDirectory() === true;
      if (isThere && realPathIn(sentDirectory, path) === path) return sent;
      throw new EngineError('invalid-parameter', `the files of the context ${name} were not sent`);
    }
    const directory = `${this.#options.directory}/named-${this.#directories.size}`;
    const git = parseGitReference(context.url, true);
    if (git !== undefined) {
      await checkOut(git, directory, { keepGitDir: git.keepGitDir ?? false, signal });
      return directory;
    }
    mkdirSync(directory, { mode: 0o755 });
    const lone = await unpackContext(await fetchRemote(context.url, signal), directory, this.#options);
    if (lone === undefined) return directory;
    throw new EngineError('invalid-parameter', `the context ${name} is not a tar archive`);
  }
}

/** `alpine`, `alpine:latest` and `docker.io/library/alpine` are one name. */
function normalName(name: string): string {
  try {
    return familiarReference(parseReference(name.toLowerCase())).replace(/:latest$/, '');
  } catch {
    return name.toLowerCase();
  }
}
