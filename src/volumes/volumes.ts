import type { Volume } from '../spec/index.ts';

/** Docker's filters, already parsed: name to values. */
export type VolumeFilters = ReadonlyMap<string, readonly string[]>;

/** Named directories that outlive containers; `local` driver. */
export interface Volumes {
  /**
   * An existing name is returned as it is, whatever options and labels say (as Docker does). No name: 64 hex, with
   * Docker's anonymous label. Emits `create` for a new one.
   * @throws {EngineError} `invalid-parameter` for a bad name or option; `not-found` for a driver that is not `local`
   */
  create(request: {
    name?: string;
    driver?: string;
    options?: Record<string, string>;
    labels?: Record<string, string>;
    anonymous?: boolean;
  }): Promise<Volume>;
  /**
   * By name. Filters: `name` (part of it), `label` (`key` or `key=value`, all must match), `driver`, `dangling`
   * (`true`, `false`, `1`, `0`).
   * @throws {EngineError} `invalid-parameter` for others
   */
  list(filters?: VolumeFilters): Volume[];
  /** @throws {EngineError} `not-found` "get x: no such volume" */
  inspect(name: string): Volume;
  /** @throws {EngineError} `conflict` "remove x: volume is in use - [ids]"; force ignores a missing one. */
  remove(name: string, force: boolean): Promise<void>;
  /**
   * Removes the unreferred volumes without mount options that match `label` and `label!`: anonymous ones, or with
   * `all=true` all. Emits `prune`.
   */
  prune(filters: VolumeFilters): Promise<{ names: string[]; spaceReclaimedBytes: number }>;
  /**
   * Mounts it if its options ask for a mount, and returns the host path; pairs with release. Idempotent for one
   * container, so that an engine that comes back says it again for each running container.
   */
  acquire(name: string, containerId: string): Promise<string>;
  release(name: string, containerId: string): Promise<void>;
  /** Containers that refer to it, running or not. */
  refer(name: string, containerId: string): void;
  unrefer(name: string, containerId: string): void;
  referrers(name: string): string[];
  /** Of the blocks that its files and directories take. */
  diskBytes(name: string): Promise<number>;
}
