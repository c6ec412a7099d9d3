import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecordCollection } from '../records/index.ts';
import type { Syscall } from '../sys/index.ts';
import type { Sandbox } from './networks.ts';

type NamespaceSyscall = Pick<
  Syscall,
  'createNetworkNamespace' | 'removeNetworkNamespace' | 'inNetworkNamespace'
>;

/** A namespace that no container has yet; with the name of the host's end of the link that is in it already. */
interface Prepared {
  id: string;
  hostInterface: string | undefined;
}

const REFILL_DELAY_MS = 50;

/**
 * The network namespaces of containers, bound at `<directory>/<first 12 hex of the sandbox id>`. Some are made ahead while
 * the engine is idle, one of them bare and the others with a link to the default bridge: namespace and link take most of a
 * millisecond each.
 */
export class Sandboxes {
  readonly #syscall: NamespaceSyscall;
  readonly #directory: string;
  readonly #records: RecordCollection<{ id: string }>;
  readonly #aheadCount: number;
  readonly #ids = new Map<string, string>();
  readonly #link: (sandboxPath: string) => string | undefined;
  /** Links made ahead that the container's first endpoint has not taken yet, by container. */
  readonly #unusedLinks = new Map<string, string>();
  #ahead: Prepared[] = [];
  #refill: NodeJS.Timeout | undefined;

  constructor(options: {
    syscall: NamespaceSyscall;
    directory: string;
    records: RecordCollection<{ id: string }>;
    aheadCount: number;
    /** Makes a link from the default bridge into a namespace, named `eth0` there; undefined when there is no bridge. */
    link: (sandboxPath: string) => string | undefined;
  }) {
    this.#syscall = options.syscall;
    this.#directory = options.directory;
    this.#records = options.records;
    this.#aheadCount = options.aheadCount;
    this.#link = options.link;
    for (const [containerId, { id }] of this.#records.entries()) this.#ids.set(containerId, id);
  }

  /** Makes the directory and begins to make namespaces ahead. */
  open(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o755 });
    this.#scheduleRefill();
  }

  /** Removes what was made ahead; containers' sandboxes stay. */
  close(): void {
    clearTimeout(this.#refill);
    this.#refill = undefined;
    for (const { id } of this.#ahead) this.#syscall.removeNetworkNamespace(this.#path(id));
    this.#ahead = [];
  }

  /** @param linked it will have the default bridge's `eth0` first. */
  create(containerId: string, linked = false): Sandbox {
    const at = this.#ahead.findIndex(({ hostInterface }) => (hostInterface !== undefined) === linked);
    const [prepared] = at < 0 ? [] : this.#ahead.splice(at, 1);
    const { id, hostInterface } = prepared ?? this.#make(false);
    try {
      this.#records.put(containerId, { id });
    } catch (error) {
      this.#syscall.removeNetworkNamespace(this.#path(id));
      throw error;
    }
    this.#ids.set(containerId, id);
    if (hostInterface !== undefined) this.#unusedLinks.set(containerId, hostInterface);
    this.#scheduleRefill();
    return { id, path: this.#path(id) };
  }

  get(containerId: string): Sandbox | undefined {
    const id = this.#ids.get(containerId);
    return id === undefined ? undefined : { id, path: this.#path(id) };
  }

  /** Gives away the link made ahead in the container's namespace; undefined when there is none. */
  takeLink(containerId: string): string | undefined {
    const hostInterface = this.#unusedLinks.get(containerId);
    this.#unusedLinks.delete(containerId);
    return hostInterface;
  }

  /** Host ends of links that no endpoint has yet. */
  unusedLinks(): string[] {
    const ahead = this.#ahead.flatMap(({ hostInterface }) => hostInterface ?? []);
    return [...this.#unusedLinks.values(), ...ahead];
  }

  /** True when the namespace is still bound (it is not after a reboot). */
  isBound(containerId: string): boolean {
    const sandbox = this.get(containerId);
    return sandbox !== undefined && existsSync(sandbox.path);
  }

  remove(containerId: string): void {
    const sandbox = this.get(containerId);
    if (sandbox === undefined) return;
    this.#syscall.removeNetworkNamespace(sandbox.path);
    this.#records.delete(containerId);
    this.#ids.delete(containerId);
    this.#unusedLinks.delete(containerId);
  }

  containers(): string[] {
    return [...this.#ids.keys()];
  }

  /** Removes namespaces that no record knows: made ahead, or half made, by an engine that was killed. */
  sweepUnknown(): void {
    const known = new Set(
      [...this.#ids.values(), ...this.#ahead.map(({ id }) => id)].map((id) => id.slice(0, 12)),
    );
    for (const name of readdirSync(this.#directory)) {
      if (!known.has(name)) this.#syscall.removeNetworkNamespace(join(this.#directory, name));
    }
  }

  #path(id: string): string {
    return sandboxPath(this.#directory, id);
  }

  #make(linked: boolean): Prepared {
    const id = randomBytes(32).toString('hex');
    const path = this.#path(id);
    this.#syscall.createNetworkNamespace(path);
    try {
      this.#syscall.inNetworkNamespace(path, disableIpv6OnNewLinks);
      return { id, hostInterface: linked ? this.#link(path) : undefined };
    } catch (error) {
      this.#syscall.removeNetworkNamespace(path);
      throw error;
    }
  }

  #scheduleRefill(): void {
    if (this.#refill !== undefined || this.#ahead.length >= this.#aheadCount) return;
    this.#refill = setTimeout(() => {
      this.#refill = undefined;
      try {
        // One at a time: each blocks the engine for a moment.
        const hasBare = this.#ahead.some(({ hostInterface }) => hostInterface === undefined);
        this.#ahead.push(this.#make(hasBare));
      } catch {
        // Out of something; create() will say so to whom it concerns.
        return;
      }
      this.#scheduleRefill();
    }, REFILL_DELAY_MS);
    this.#refill.unref();
  }
}

export const sandboxPath = (directory: string, id: string): string => join(directory, id.slice(0, 12));

/** A link is born without IPv6 (no address of its own making, no packets); a network that has IPv6 turns it on. */
function disableIpv6OnNewLinks(): void {
  try {
    writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
