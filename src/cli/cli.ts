import type { ApiClient, Endpoint } from '../client/index.ts';
import { err, out } from './output.ts';

/** Options that stand before the command. */
export interface GlobalOptions {
  host: string | undefined;
  context: string | undefined;
  config: string | undefined;
  debug: boolean;
  tls: { enabled: boolean; verify: boolean; ca?: string; cert?: string; key?: string } | undefined;
}

/** A registry's credentials as docker's `config.json` has them. */
export interface StoredAuth {
  /** `user:password` in base64. */
  auth?: string;
  username?: string;
  password?: string;
  identitytoken?: string;
  registrytoken?: string;
}

/** What we read of docker's `config.json`. */
export interface ConfigFile {
  detachKeys?: string;
  psFormat?: string;
  imagesFormat?: string;
  statsFormat?: string;
  networksFormat?: string;
  volumesFormat?: string;
  currentContext?: string;
  auths?: Record<string, StoredAuth>;
  /** Suffix of a credential helper's name, for all registries. */
  credsStore?: string;
  /** The same for single ones. */
  credHelpers?: Record<string, string>;
  proxies?: Record<string, Record<string, string>>;
}

/** One call of the program: its surroundings, and its connection to the engine, made when first asked for. */
export class Cli {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly options: GlobalOptions;
  #client: Promise<ApiClient> | undefined;
  #config: ConfigFile | undefined;

  constructor(env: Cli['env'], options: GlobalOptions) {
    this.env = env;
    this.options = options;
  }

  out(text: string | Uint8Array): void {
    out(text);
  }

  err(text: string | Uint8Array): void {
    err(text);
  }

  get configDir(): string {
    return this.options.config ?? this.env['DOCKER_CONFIG'] ?? `${this.env['HOME'] ?? '/root'}/.docker`;
  }

  /** Docker's client configuration; empty when there is none. */
  async config(): Promise<ConfigFile> {
    if (this.#config === undefined) {
      const { readFileSync } = await import('node:fs');
      try {
        this.#config = JSON.parse(readFileSync(`${this.configDir}/config.json`, 'utf8')) as ConfigFile;
      } catch {
        this.#config = {};
      }
    }
    return this.#config;
  }

  /**
   * Changes docker's client configuration, whose other members stay; nobody ever sees half of it.
   * @returns the file's path
   * @throws when what is there is no JSON
   */
  async changeConfig(change: (config: ConfigFile) => ConfigFile): Promise<string> {
    const { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } =
      await import('node:fs');
    const path = `${this.configDir}/config.json`;
    const isThere = existsSync(path);
    this.#config = change(isThere ? (JSON.parse(readFileSync(path, 'utf8')) as ConfigFile) : {});
    mkdirSync(this.configDir, { recursive: true, mode: 0o700 });
    // It may be a link into a directory of such files.
    const target = isThere ? realpathSync(path) : path;
    const mode = isThere ? statSync(target).mode & 0o777 : 0o600;
    const temporary = `${target}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify(this.#config, null, '\t')}\n`, { mode });
    renameSync(temporary, target);
    return path;
  }

  async endpoint(): Promise<Endpoint> {
    const { resolveEndpoint } = await import('../client/index.ts');
    const { env, options, configDir } = this;
    return resolveEndpoint({
      env,
      host: options.host,
      context: options.context,
      configDir,
      tls: options.tls,
    });
  }

  client(): Promise<ApiClient> {
    this.#client ??= this.#connect();
    return this.#client;
  }

  async #connect(): Promise<ApiClient> {
    const { ApiClient } = await import('../client/index.ts');
    const endpoint = await this.endpoint();
    return new ApiClient({
      endpoint,
      apiVersion: this.env['DOCKER_API_VERSION'] || undefined,
      onUnreachable: async () => {
        const { startDaemon } = await import('./daemon-start.ts');
        return startDaemon(endpoint, this.env);
      },
    });
  }

  isTerminal(fd: 0 | 1 | 2): boolean {
    isatty ??= (process.getBuiltinModule('node:tty') as typeof import('node:tty')).isatty;
    return isatty(fd);
  }
}

let isatty: ((fd: number) => boolean) | undefined;
