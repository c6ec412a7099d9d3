import { readFileSync } from 'node:fs';
import { apiRoutes, closeApiServer, createApiServer, type ApiOptions } from '../api/index.ts';
import { LocalEngine, announceDaemon } from '../engine/index.ts';
import { EngineError, errorMessage } from '../errors/index.ts';
import { mergeSettings, readConfigFile } from './config-file.ts';
import { parseFlags } from './flags.ts';
import type { Host } from './hosts.ts';
import { listenAll } from './listeners.ts';
import { DaemonLog } from './log.ts';
import { notifySystemd } from './notify.ts';
import { buildOptions, type DaemonOptions, type TlsFiles } from './options.ts';
import { writePidFile } from './pid-file.ts';
import { helpText, settings, type GivenSettings, type Setting } from './settings.ts';
import { daemonVersion } from './version.ts';

const defaultConfigFile = '/etc/coracle/daemon.json';

/**
 * Runs the daemon until SIGTERM or SIGINT; containers go on without it. Resolves when it has ended; what goes wrong at
 * the start is told on standard error and in process.exitCode, as dockerd does.
 * @param argv the words after `daemon`
 */
export async function runDaemon(argv: readonly string[]): Promise<void> {
  try {
    const flags = parseFlags(argv);
    if (flags.get('help') === true) {
      process.stdout.write(helpText());
      return;
    }
    if (flags.get('version') === true) {
      process.stdout.write(`Coracle version ${daemonVersion.version}, build ${daemonVersion.gitCommit}\n`);
      return;
    }
    const configuration = new Configuration(flags);
    const options = configuration.read();
    if (flags.get('validate') === true) {
      process.stderr.write('configuration OK\n');
      return;
    }
    await run(options, configuration);
  } catch (error) {
    const hint =
      error instanceof EngineError && error.code === 'bad-flag' ? "\nSee 'coracle daemon --help'." : '';
    process.stderr.write(`${errorMessage(error)}${hint}\n`);
    process.exitCode = 1;
  }
}

/** Flags and the configuration file, read again at SIGHUP. */
class Configuration {
  readonly path: string;
  readonly #flags: GivenSettings;
  given: GivenSettings = new Map();

  constructor(flags: GivenSettings) {
    const named = flags.get('config-file');
    this.path = typeof named === 'string' ? named : defaultConfigFile;
    this.#flags = flags;
  }

  read(): DaemonOptions {
    const file = readConfigFile(this.path, this.#flags.has('config-file'));
    this.given = mergeSettings(this.#flags, file, this.path);
    return buildOptions(this.given);
  }

  /** Settings that were given and do nothing here. */
  withoutEffect(): string[] {
    return (settings as readonly Setting[])
      .filter((setting) => setting.effect === false && this.given.has(setting.flag as never))
      .map(({ flag }) => flag);
  }
}

async function run(options: DaemonOptions, configuration: Configuration): Promise<void> {
  const log = new DaemonLog({ level: options.logLevel, format: options.logFormat });
  process.umask(0o022);
  process.title = 'coracle';
  log.info('Starting up');
  for (const flag of configuration.withoutEffect()) log.warning('Setting has no effect', { setting: flag });
  // In both spellings, so that none that was there before is heard.
  for (const [name, value] of Object.entries(options.proxies)) {
    process.env[name] = value;
    process.env[name.toLowerCase()] = value;
  }
  const stopped = untilStopped(log);
  // A forgotten promise of one request must not take all others down.
  process.on('unhandledRejection', (reason) => {
    log.error(
      `Unhandled rejection: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`,
    );
  });
  await using undo = new AsyncDisposableStack();
  if (options.pidFile !== undefined) undo.use(writePidFile(options.pidFile));
  const engine = await LocalEngine.open({
    ...options.engine,
    onLog: (level, message) => log.write(level, message),
  });
  undo.defer(() => engine.close());
  const api = apiOptions(options);
  const routes = apiRoutes(engine, api);
  const servers = await listenAll(options.hosts, {
    group: options.group,
    groupRequired: options.groupRequired,
    onWarning: (message) => log.warning(message),
    createServer: (host) => {
      warnOfOpenPort(host, options, log);
      return createApiServer({
        routes,
        serverVersion: daemonVersion.version,
        minimumVersion: options.minimumVersion,
        log: {
          request(method, url) {
            if (log.level === 'debug') log.debug(`Calling ${method} ${url}`);
          },
          failure(method, url, status, error) {
            log.error(`Handler for ${method} ${url.split('?')[0]} returned error: ${errorMessage(error)}`, {
              status,
            });
          },
        },
        ...(options.tls === undefined || host.kind === 'unix' ? {} : { tls: readTls(options.tls) }),
      });
    },
  });
  undo.defer(async () => void (await Promise.all(servers.map(closeApiServer))));
  const local = options.hosts.find((host) => host.kind === 'unix');
  if (local !== undefined) undo.use(announceDaemon(engine.facts().dataRoot, local.path));
  const reload = (): void => reloadConfiguration(configuration, api, engine, log);
  process.on('SIGHUP', reload);
  undo.defer(() => void process.removeListener('SIGHUP', reload));
  log.info('Daemon has completed initialization', { version: daemonVersion.version });
  for (const host of options.hosts) log.info(`API listen on ${host.kind === 'unix' ? host.path : host.text}`);
  notifySystemd('--ready');
  await stopped;
  notifySystemd('--stopping');
  await undo.disposeAsync();
  log.info('Daemon shutdown complete; containers keep running');
}

/** Resolves at the first SIGTERM or SIGINT; a third one ends the process at once, as dockerd's does. */
function untilStopped(log: DaemonLog): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    const stop = (signal: NodeJS.Signals): void => {
      count++;
      log.info(`Processing signal '${signal === 'SIGINT' ? 'interrupt' : 'terminated'}'`);
      if (count >= 3) process.exit(1);
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}

function apiOptions(options: DaemonOptions): ApiOptions {
  return {
    serverVersion: daemonVersion.version,
    gitCommit: daemonVersion.gitCommit,
    buildTime: daemonVersion.buildTime,
    minimumVersion: options.minimumVersion,
    logDriver: options.logDriver,
    logOptions: options.logOptions,
    insecureRegistries: options.insecureRegistries,
    registryMirrors: options.registryMirrors,
    addressPools: options.addressPools,
    defaultShmSizeBytes: options.defaultShmSizeBytes,
    defaultInit: options.defaultInit,
  };
}

/** What can change while running does; the rest is left as it is until the next start. */
function reloadConfiguration(
  configuration: Configuration,
  api: ApiOptions,
  engine: LocalEngine,
  log: DaemonLog,
): void {
  log.info(`Got signal to reload configuration, reloading from: ${configuration.path}`);
  try {
    const options = configuration.read();
    log.level = options.logLevel;
    Object.assign(api, apiOptions(options));
    const { insecureRegistries, registryMirrors } = options;
    engine.registries.configure({ insecureRegistries, mirrors: registryMirrors });
    engine.events.publish('daemon', 'reload', engine.facts().id, {
      name: engine.facts().name,
      debug: String(options.logLevel === 'debug'),
      'insecure-registries': JSON.stringify(options.insecureRegistries),
      'registry-mirrors': JSON.stringify(options.registryMirrors),
    });
  } catch (error) {
    log.error(`Error reconfiguring the daemon: ${errorMessage(error)}`);
  }
}

function readTls(files: TlsFiles): {
  cert: Buffer;
  key: Buffer;
  ca?: Buffer;
  requestCert: boolean;
  rejectUnauthorized: boolean;
  minVersion: 'TLSv1.2';
} {
  const read = (what: string, path: string): Buffer => {
    try {
      return readFileSync(path);
    } catch (error) {
      throw new EngineError('invalid-parameter', `could not read ${what} ${path}: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  };
  return {
    cert: read('X509 certificate', files.cert),
    key: read('X509 key', files.key),
    ...(files.ca === undefined ? {} : { ca: read('CA certificate', files.ca) }),
    requestCert: files.verify,
    rejectUnauthorized: files.verify,
    minVersion: 'TLSv1.2',
  };
}

function warnOfOpenPort(host: Host, options: DaemonOptions, log: DaemonLog): void {
  if (host.kind !== 'tcp' || options.tls?.verify === true) return;
  log.warning(
    '[DEPRECATION NOTICE]: API is accessible on a TCP port without TLS client verification: whoever reaches it is root on this machine',
    { host: host.text },
  );
}
