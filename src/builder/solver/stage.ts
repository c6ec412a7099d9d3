import type { Image } from '../../images/index.ts';
import type { ImageConfig, ImageRunConfig, Platform } from '../../spec/index.ts';
import type { TracedStep } from '../progress/trace.ts';
import { expandToWords, expandWord } from '../dockerfile/shell/expand.ts';

/** Arguments that need no ARG, and are in neither history nor cache keys. */
const proxyArgs = [
  'HTTP_PROXY',
  'http_proxy',
  'HTTPS_PROXY',
  'https_proxy',
  'FTP_PROXY',
  'ftp_proxy',
  'NO_PROXY',
  'no_proxy',
  'ALL_PROXY',
  'all_proxy',
];

/** A stage while it is built. */
export class StageState {
  readonly index: number;
  /** Null: nothing but an empty tree yet. */
  image: Image | null;
  /** Digest of all that led here. */
  key: string;
  imageConfig: ImageConfig;
  /** A step was run: those after it are not looked up, since they were made on something else. */
  busted = false;
  cmdSet = false;
  /** The instruction that is worked on, as progress shows it; undefined for one that makes no files. */
  traced: TracedStep | undefined;
  readonly #args = new Map<string, string | undefined>();
  readonly #buildArgs: Readonly<Record<string, string | null>>;
  readonly #escape: '\\' | '`';

  constructor(options: {
    index: number;
    image: Image | null;
    key: string;
    platform: Platform;
    buildArgs: Readonly<Record<string, string | null>>;
    escape: '\\' | '`';
  }) {
    const { image, platform } = options;
    this.index = options.index;
    this.image = image;
    this.key = options.key;
    this.#buildArgs = options.buildArgs;
    this.#escape = options.escape;
    const { architecture, os, variant } = platform;
    this.imageConfig = image?.config ?? {
      architecture,
      os,
      ...(variant === undefined ? {} : { variant }),
      config: {},
      rootfs: { type: 'layers', diff_ids: [] },
      history: [],
    };
    if (image === null || (this.config.Env ?? []).every((entry) => !entry.startsWith('PATH='))) {
      this.#setConfig({
        ...this.config,
        Env: [
          'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
          ...(this.config.Env ?? []),
        ],
      });
    }
  }

  get config(): ImageRunConfig {
    return this.imageConfig.config ?? {};
  }

  #setConfig(config: ImageRunConfig): void {
    this.imageConfig = { ...this.imageConfig, config };
  }

  /** The step's image is there: go on from it. */
  advance(image: Image, key: string): void {
    this.image = image;
    this.imageConfig = image.config;
    this.key = key;
  }

  /** ARG. `value` is what it has when no build argument gives one; undefined for none. */
  declare(name: string, value: string | undefined): void {
    const given = Object.hasOwn(this.#buildArgs, name) ? this.#buildArgs[name] : undefined;
    this.#args.set(name, given ?? value);
  }

  /** Declared arguments with values that no variable of the environment hides, sorted, as `name=value`. */
  arguments(): string[] {
    const names = new Set((this.config.Env ?? []).map((entry) => entry.split('=', 1)[0]));
    return [...this.#args]
      .flatMap(([name, value]) => (value === undefined || names.has(name) ? [] : [`${name}=${value}`]))
      .toSorted();
  }

  /** Proxies given as build arguments. */
  proxies(): string[] {
    const declared = this.#args;
    return proxyArgs.flatMap((name) => {
      const value = Object.hasOwn(this.#buildArgs, name) ? this.#buildArgs[name] : undefined;
      return value === undefined || value === null || declared.has(name) ? [] : [`${name}=${value}`];
    });
  }

  #variables(): Map<string, string> {
    const variables = new Map<string, string>();
    for (const entry of [...this.proxies(), ...this.arguments(), ...(this.config.Env ?? [])]) {
      const equals = entry.indexOf('=');
      if (equals > 0) variables.set(entry.slice(0, equals), entry.slice(equals + 1));
    }
    return variables;
  }

  expand(text: string): string {
    return expandWord(text, { escape: this.#escape, variables: this.#variables() });
  }

  /** For heredocs: quotes stay. */
  expandKeepingQuotes(text: string): string {
    return text.replace(
      /\\([\\$`\n])|\$(?:\{[^}]*\}|[A-Za-z_][A-Za-z0-9_]*)/g,
      (whole, escaped: string | undefined) =>
        escaped === undefined ? this.expand(whole) : escaped === '\n' ? '' : escaped,
    );
  }

  expandWords(text: string): string[] {
    return expandToWords(text, { escape: this.#escape, variables: this.#variables() });
  }
}
