import type { Image } from '../../images/index.ts';
import type { ImageConfig, ImageRunConfig, Platform } from '../../spec/index.ts';
import { expandToWords, expandWord } from '../dockerfile/shell/expand.ts';
import type { StepOutput } from '../solver/ordered-output.ts';
import type { Vertex } from './operation.ts';

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

/** One step of a stage: an instruction that changes files, or the configuration alone. */
export interface StageStep {
  /** What makes the stage's files from here on; undefined when only the configuration changes. */
  vertex: Vertex | undefined;
  /** As history shows it. `source`: what was copied, `file:<digest>`. */
  createdBy: (source: string) => string;
  /** The configuration behind it. */
  config: ImageRunConfig;
  author: string | undefined;
  /** Where it is shown; undefined for a trigger, which is shown with the FROM that pulled it. */
  output: StepOutput | undefined;
}

/** A stage while it is compiled: the vertex that gives its files, and what an image of it says besides them. */
export class StageState {
  readonly index: number;
  /** The image that it begins with. */
  readonly image: Image | null;
  /** The stage that it begins with. */
  readonly base: StageState | undefined;
  /** Gives the files as they are now; null for none. */
  vertex: Vertex | null;
  readonly steps: StageStep[] = [];
  /** Of FROM. */
  readonly output: StepOutput;
  readonly platform: Platform;
  readonly ignoresCache: boolean;
  imageConfig: ImageConfig;
  cmdSet = false;
  readonly #args = new Map<string, string | undefined>();
  readonly #buildArgs: Readonly<Record<string, string | null>>;
  readonly #escape: '\\' | '`';

  constructor(options: {
    index: number;
    image: Image | null;
    base?: StageState;
    vertex: Vertex | null;
    output: StepOutput;
    platform: Platform;
    ignoresCache: boolean;
    buildArgs: Readonly<Record<string, string | null>>;
    escape: '\\' | '`';
  }) {
    const { image, platform, base } = options;
    this.index = options.index;
    this.image = image;
    this.base = base;
    this.vertex = options.vertex;
    this.output = options.output;
    this.platform = platform;
    this.ignoresCache = options.ignoresCache;
    this.#buildArgs = options.buildArgs;
    this.#escape = options.escape;
    const { architecture, os, variant } = platform;
    this.imageConfig = base?.imageConfig ??
      image?.config ?? {
        architecture,
        os,
        ...(variant === undefined ? {} : { variant }),
        config: {},
        rootfs: { type: 'layers', diff_ids: [] },
        history: [],
      };
    if ((this.config.Env ?? []).every((entry) => !entry.startsWith('PATH='))) {
      this.#setConfig({
        ...this.config,
        Env: [
          'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
          ...(this.config.Env ?? []),
        ],
      });
    }
  }

  /** Nothing at all yet: no image, no file, no configuration. */
  get isEmpty(): boolean {
    return this.image === null && this.steps.length === 0 && (this.base?.isEmpty ?? true);
  }

  /** Appends a step. */
  step(step: {
    vertex?: Vertex;
    createdBy: (source: string) => string;
    config?: ImageRunConfig;
    author?: string;
    output: StepOutput | undefined;
  }): void {
    const config = step.config ?? this.config;
    this.#setConfig(config);
    if (step.author !== undefined) this.imageConfig = { ...this.imageConfig, author: step.author };
    if (step.vertex !== undefined) this.vertex = step.vertex;
    const { vertex, createdBy, author, output } = step;
    this.steps.push({ vertex, createdBy, config, author, output });
  }

  /** Triggers are not inherited by what uses them. */
  dropTriggers(): void {
    this.#setConfig({ ...this.config, OnBuild: null });
  }

  get config(): ImageRunConfig {
    return this.imageConfig.config ?? {};
  }

  #setConfig(config: ImageRunConfig): void {
    this.imageConfig = { ...this.imageConfig, config };
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
