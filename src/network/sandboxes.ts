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

const REFILL_DELAY_MS = 50;

/**
 * The network namespaces of containers, bound at `<directory>/<first 12 hex of the sandbox id>`. Some are made ahead while
 * the engine is idle: making one takes most of a millisecond.
 */
export class Sandboxes {
  readonly #syscall: NamespaceSyscall;
  readonly #directory: string;
  readonly #records: RecordCollection<{ id: string }>;
  readonly #aheadCount: number;
  readonly #ids = new Map<string, string>();
  #ahead: string[] = [];
  #refill: NodeJS.Timeout | undefined;

  constructor(options: {
    syscall: NamespaceSyscall;
    directory: string;
    records: RecordCollection<{ id: string }>;
    aheadCount: number;
  }) {
    this.#syscall = options.syscall;
    this.#directory = options.directory;
    this.#records = options.records;
    this.#aheadCount = options.aheadCount;
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
    for (const id of this.#ahead) this.#syscall.removeNetworkNamespace(this.#path(id));
    this.#ahead = [];
  }

  create(containerId: string): Sandbox {
    const id = this.#ahead.pop() ?? this.#make();
    try {
      this.#records.put(containerId, { id });
    } catch (error) {
      this.#syscall.removeNetworkNamespace(this.#path(id));
      throw error;
    }
    this.#ids.set(containerId, id);
    this.#scheduleRefill();
    return { id, path: this.#path(id) };
  }

  get(containerId: string): Sandbox | undefined {
    const id = this.#ids.get(containerId);
    return id === undefined ? undefined : { id, path: this.#path(id) };
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
  }

  containers(): string[] {
    return [...this.#ids.keys()];
  }

  /** Removes namespaces that no record knows: made ahead, or half made, by an engine that was killed. */
  sweepUnknown(): void {
    const known = new Set([...this.#ids.values(), ...this.#ahead].map((id) => id.slice(0, 12)));
    for (const name of readdirSync(this.#directory)) {
      if (!known.has(name)) this.#syscall.removeNetworkNamespace(join(this.#directory, name));
    }
  }

  #path(id: string): string {
    return join(this.#directory, id.slice(0, 12));
  }

  #make(): string {
    const id = randomBytes(32).toString('hex');
    const path = this.#path(id);
    this.#syscall.createNetworkNamespace(path);
    try {
      this.#syscall.inNetworkNamespace(path, disableIpv6OnNewLinks);
    } catch (error) {
      this.#syscall.removeNetworkNamespace(path);
      throw error;
    }
    return id;
  }

  #scheduleRefill(): void {
    if (this.#refill !== undefined || this.#ahead.length >= this.#aheadCount) return;
    this.#refill = setTimeout(() => {
      this.#refill = undefined;
      try {
        // One at a time: each blocks the engine for a moment.
        this.#ahead.push(this.#make());
      } catch {
        // Out of something; create() will say so to whom it concerns.
        return;
      }
      this.#scheduleRefill();
    }, REFILL_DELAY_MS);
    this.#refill.unref();
  }
}

/** A link is born without IPv6 (no address of its own making, no packets); a network that has IPv6 turns it on. */
function disableIpv6OnNewLinks(): void {
  try {
    writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
