import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { posix } from 'node:path';
import { EngineError } from '../../errors/index.ts';
import type { RuntimeMount } from '../../spec/index.ts';
import { unmountFlags, type Syscall } from '../../sys/index.ts';
import type { SshAgent } from '../builder.ts';
import { AgentSocket } from './agent-socket.ts';
import { realPathIn } from './real-path.ts';
import type { StepMount } from './run-mounts.ts';

/** Where the mounts of a step get their content from. */
export interface MountSources {
  /** Root of the tree of a `from`, '' for the context. */
  tree: (from: string) => Promise<string>;
  secrets: ReadonlyMap<string, Uint8Array>;
  ssh: ReadonlyMap<string, SshAgent>;
  cache: CacheMounts;
  syscall: Syscall;
}

/** The `--mount`s of one step: resolved first, prepared when the step's root is mounted, undone by close(). */
export class StepMounts {
  readonly #mounts: readonly StepMount[];
  readonly #sources: MountSources;
  readonly #trees = new Map<string, string>();
  readonly #undo: (() => void)[] = [];
  readonly #workingDirectory: string;

  private constructor(mounts: readonly StepMount[], sources: MountSources, workingDirectory: string) {
    this.#mounts = mounts;
    this.#sources = sources;
    this.#workingDirectory = workingDirectory;
  }

  /** Finds the trees and waits for locked caches. */
  static async open(
    mounts: readonly StepMount[],
    sources: MountSources,
    workingDirectory: string,
    signal: AbortSignal,
  ): Promise<StepMounts> {
    const step = new StepMounts(mounts, sources, workingDirectory);
    try {
      for (const mount of mounts) {
        if (mount.kind === 'bind' || (mount.kind === 'cache' && mount.from !== '')) {
          step.#trees.set(mount.from, await sources.tree(mount.from));
        }
        if (mount.kind === 'cache' && mount.sharing === 'locked') {
          step.#undo.push(await sources.cache.lock(mount.id, signal));
        }
      }
      return step;
    } catch (error) {
      step.close();
      throw error;
    }
  }

  /** @param directory private to this step */
  async prepare(directory: string): Promise<{ mounts: RuntimeMount[]; environment: string[] }> {
    const mounts: RuntimeMount[] = [];
    const environment: string[] = [];
    let agents = 0;
    for (const [index, mount] of this.#mounts.entries()) {
      const place = `${directory}/mount-${index}`;
      if (mount.kind === 'secret') {
        const content = this.#secret(mount.id, mount.required);
        if (content === undefined) continue;
        if (mount.environment !== undefined) {
          environment.push(`${mount.environment}=${Buffer.from(content).toString('utf8')}`);
        }
        if (mount.target === undefined) continue;
        this.#writeSecret(place, content, mount);
        mounts.push(bind(this.#destination(mount.target), place, false));
        continue;
      }
      if (mount.kind === 'ssh') {
        const agent = this.#sources.ssh.get(mount.id);
        if (agent === undefined) {
          if (mount.required) throw noAgent(mount.id);
          continue;
        }
        const target = mount.target || `/run/buildkit/ssh_agent.${agents}`;
        if (agents === 0) environment.push(`SSH_AUTH_SOCK=${target}`);
        agents += 1;
        const socket = await AgentSocket.listen(place, agent, mount);
        this.#undo.push(() => socket.close());
        mounts.push(bind(this.#destination(target), place, true));
        continue;
      }
      const destination = this.#destination(mount.target);
      if (mount.kind === 'tmpfs') {
        const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
        mounts.push({ destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', ...size] });
      } else if (mount.kind === 'cache') {
        mounts.push(bind(destination, this.#cache(mount), !mount.readOnly));
      } else {
        mounts.push(bind(destination, this.#bindSource(mount, place), mount.writable));
      }
    }
    return { mounts, environment };
  }

  close(): void {
    for (const undo of this.#undo.splice(0).toReversed()) undo();
  }

  #destination(target: string): string {
    return posix.resolve('/', this.#workingDirectory, target);
  }

  #secret(id: string, required: boolean): Uint8Array | undefined {
    const content = this.#sources.secrets.get(id);
    if (content === undefined && required) {
      throw new EngineError('invalid-parameter', `secret ${id}: not found`);
    }
    return content;
  }

  /** In memory alone: on a tmpfs of its own. */
  #writeSecret(path: string, content: Uint8Array, mount: { mode: number; uid: number; gid: number }): void {
    const { syscall } = this.#sources;
    const directory = `${path}.d`;
    mkdirSync(directory, { mode: 0o700 });
    syscall.mount('tmpfs', directory, 'tmpfs', 0, `size=${Math.max(content.length * 2, 65536)},mode=0700`);
    this.#undo.push(() => {
      syscall.unmount(directory, unmountFlags.detach);
      rmSync(directory, { recursive: true, force: true });
    });
    writeFileSync(`${directory}/secret`, content, { mode: 0o600 });
    chmodSync(`${directory}/secret`, mount.mode);
    chownSync(`${directory}/secret`, mount.uid, mount.gid);
    writeFileSync(path, '');
    syscall.mount(`${directory}/secret`, path, null, 4096, null);
    this.#undo.push(() => syscall.unmount(path, unmountFlags.detach));
  }

  #cache(mount: Extract<StepMount, { kind: 'cache' }>): string {
    const { cache } = this.#sources;
    const { path, release } = cache.directory(mount);
    this.#undo.push(release);
    return path;
  }

  #bindSource(mount: Extract<StepMount, { kind: 'bind' }>, place: string): string {
    const tree = this.#trees.get(mount.from) ?? '';
    const real = realPathIn(tree, mount.source);
    const source = real === '' ? tree : `${tree}/${real}`;
    if (!existsSync(source)) {
      throw new EngineError('invalid-parameter', `failed to compute cache key: ${mount.source}: not found`);
    }
    if (!mount.writable) return source;
    if (!statSync(source).isDirectory()) {
      throw new EngineError('not-implemented', 'a writable bind mount of a single file is not supported yet');
    }
    // What the step writes is discarded.
    const { syscall } = this.#sources;
    const scratch = mkdtempSync(`${place}-`);
    for (const name of ['upper', 'work', 'merged']) mkdirSync(`${scratch}/${name}`);
    syscall.mountOverlay({
      target: `${scratch}/merged`,
      lowerDirs: [source],
      upperDir: `${scratch}/upper`,
      workDir: `${scratch}/work`,
    });
    this.#undo.push(() => {
      syscall.unmount(`${scratch}/merged`, unmountFlags.detach);
      rmSync(scratch, { recursive: true, force: true });
    });
    return `${scratch}/merged`;
  }
}

function noAgent(id: string): EngineError {
  return new EngineError('invalid-parameter', `unset ssh forward key ${id}`);
}

function bind(destination: string, source: string, writable: boolean): RuntimeMount {
  return { destination, type: 'bind', source, options: ['rbind', writable ? 'rw' : 'ro', 'rprivate'] };
}

/** The directories behind `--mount=type=cache`, kept between builds. */
export class CacheMounts {
  readonly #directory: string;
  readonly #locks = new Map<string, Promise<void>>();
  /** Private ones in use. */
  readonly #inUse = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Waits for a `sharing=locked` cache. @returns its release */
  async lock(id: string, signal: AbortSignal): Promise<() => void> {
    for (let held = this.#locks.get(id); held !== undefined; held = this.#locks.get(id)) {
      await held;
      signal.throwIfAborted();
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#locks.set(id, promise);
    return () => {
      this.#locks.delete(id);
      resolve();
    };
  }

  directory(mount: { id: string; sharing: string; mode: number; uid: number; gid: number }): {
    path: string;
    release: () => void;
  } {
    const name = createHash('sha256').update(mount.id).digest('hex').slice(0, 32);
    for (let copy = 0; ; copy += 1) {
      const path = `${this.#directory}/${name}${copy === 0 ? '' : `-${copy}`}`;
      if (mount.sharing === 'private' && this.#inUse.has(path)) continue;
      this.#inUse.add(path);
      if (!existsSync(path)) {
        mkdirSync(path, { recursive: true });
        chmodSync(path, mount.mode);
        chownSync(path, mount.uid, mount.gid);
      }
      return { path, release: () => this.#inUse.delete(path) };
    }
  }

  /** Removes all that no step uses. */
  clear(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
