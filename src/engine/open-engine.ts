import { parseAddress } from '../client/index.ts';
import { isEngineError } from '../errors/index.ts';
import { daemonSocket } from './daemon-address.ts';
import { libraryOf, type Library } from './library.ts';
import { LocalEngine } from './local-engine.ts';
import { defaults, type EngineOptions } from './options.ts';
import { connectLibrary } from './remote/connect-library.ts';
import { rootInUse } from './root-lock.ts';
import { runContainer, type RunRequest, type RunResult } from './run.ts';

/** An engine as a program uses it: in this process, or a daemon that holds the root. */
export interface Engine extends Library, AsyncDisposable {
  /** True when a daemon does the work. */
  readonly isRemote: boolean;
  /**
   * Runs a container to its end and removes it.
   * @example
   * const { output } = await engine.run({ image: 'busybox', command: ['echo', 'hi'] });
   */
  run(request: RunRequest): Promise<RunResult>;
  /** Idempotent. Containers go on; so does a daemon. */
  close(): Promise<void>;
}

export const Engine = {
  /**
   * Opens the roots, restores what an earlier engine left there, and takes the lock; or connects to the daemon that holds
   * the data root, whose own options count then.
   * @throws {EngineError} `unavailable` when another program holds the root, or a program it needs is missing
   * @example
   * await using engine = await Engine.open({ dataRoot: '/srv/containers', execRoot: '/run/mine' });
   * await engine.images.bootstrap('busybox', {});
   */
  async open(options: EngineOptions = {}): Promise<Engine> {
    try {
      const engine = await LocalEngine.open(options);
      return overLibrary(libraryOf(engine), { isRemote: false, close: () => engine.close() });
    } catch (error) {
      const socketPath = daemonSocket(options.dataRoot ?? defaults.dataRoot);
      if (!isEngineError(error) || error.code !== rootInUse || socketPath === undefined) throw error;
      const url = `unix://${socketPath}`;
      const address = parseAddress(url, null);
      const library = connectLibrary({ address, url, source: 'default', context: 'default' });
      // Whether it is there shows now, not at the first use.
      await library.facts();
      return overLibrary(library, { isRemote: true, close: () => Promise.resolve() });
    }
  },
};

function overLibrary(library: Library, { isRemote, close }: Pick<Engine, 'isRemote' | 'close'>): Engine {
  return {
    ...library,
    isRemote,
    run: (request) => runContainer(library.containers, request),
    close,
    [Symbol.asyncDispose]: close,
  };
}
