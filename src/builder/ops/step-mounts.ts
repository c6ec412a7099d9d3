import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
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
import type { CacheMounts } from './cache-mounts.ts';
import { realPathIn } from './real-path.ts';
import type { StepMount } from './run-mounts.ts';

/** Where the mounts of a step get their content from. */
export interface MountSources {
  /** Root of the files that a mount, by its index, is of. */
  tree: (mount: number) => Promise<string>;
  secrets: ReadonlyMap<string, Uint8Array>;
  ssh: ReadonlyMap<string, SshAgent>;
  cache: CacheMounts;
  syscall: Syscall;
}

/** The `--mount`s of one step: resolved first, prepared when the step's root is mounted, undone by close(). */
export class StepMounts {
  readonly #mounts: readonly StepMount[];
  readonly #sources: MountSources;
  readonly #trees = new Map<number, string>();
  readonly #caches = new Map<number, string>();
  readonly #undo: (() => void)[] = [];
  readonly #workingDirectory: string;

  private constructor(mounts: readonly StepMount[], sources: MountSources, workingDirectory: string) {
    this.#mounts = mounts;
    this.#sources = sources;
    this.#workingDirectory = workingDirectory;
  }

  /** Finds the files and takes the caches, waiting for locked ones. */
  static async open(
    mounts: readonly StepMount[],
    sources: MountSources,
    workingDirectory: string,
    signal: AbortSignal,
  ): Promise<StepMounts> {
    const step = new StepMounts(mounts, sources, workingDirectory);
    try {
      for (const [index, mount] of mounts.entries()) {
        if (mount.kind === 'bind') step.#trees.set(index, await sources.tree(index));
      }
      await step.#takeCaches(signal);
      return step;
    } catch (error) {
      step.close();
      throw error;
    }
  }

  /** In the order of their ids, so that no two steps wait for each other; one that is mounted twice is taken once. */
  async #takeCaches(signal: AbortSignal): Promise<void> {
    const caches = [...this.#mounts.entries()].flatMap(([index, mount]) =>
      mount.kind === 'cache' ? [{ index, mount }] : [],
    );
    const taken = new Map<string, string>();
    for (const { index, mount } of caches.toSorted((a, b) => (a.mount.id < b.mount.id ? -1 : 1))) {
      const known = mount.sharing === 'private' ? undefined : taken.get(mount.id);
      if (known !== undefined) {
        this.#caches.set(index, known);
        continue;
      }
      const tree = mount.from === '' ? '' : await this.#sources.tree(index);
      const seed = tree === '' ? '' : `${tree}/${realPathIn(tree, mount.source || '/')}`;
      const { path, release } = await this.#sources.cache.take(mount, seed, signal);
      this.#undo.push(release);
      this.#caches.set(index, path);
      taken.set(mount.id, path);
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
        const target = mount.target || `/run/buildkit/ssh_agent.${agents}`;
        // As BuildKit has it, also when there is no agent.
        if (agents === 0) environment.push(`SSH_AUTH_SOCK=${target}`);
        agents += 1;
        if (agent === undefined) {
          if (mount.required) throw noAgent(mount.id);
          continue;
        }
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
        mounts.push(bind(destination, this.#caches.get(index) ?? '', !mount.readOnly));
      } else {
        mounts.push(bind(destination, this.#bindSource(index, mount, place), mount.writable));
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

  #bindSource(index: number, mount: Extract<StepMount, { kind: 'bind' }>, place: string): string {
    const tree = this.#trees.get(index) ?? '';
    const real = realPathIn(tree, mount.source);
    const source = real === '' ? tree : `${tree}/${real}`;
    if (!existsSync(source)) {
      throw new EngineError('invalid-parameter', `failed to compute cache key: ${mount.source}: not found`);
    }
    if (!mount.writable) return source;
    // What the step writes is discarded.
    const stat = statSync(source);
    if (!stat.isDirectory()) {
      if (!stat.isFile()) {
        throw new EngineError('invalid-parameter', `${mount.source} is neither a file nor a directory`);
      }
      const copy = `${place}-copy`;
      copyFileSync(source, copy, constants.COPYFILE_EXCL);
      this.#undo.push(() => rmSync(copy, { force: true }));
      chownSync(copy, stat.uid, stat.gid);
      chmodSync(copy, stat.mode & 0o7777);
      return copy;
    }
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
