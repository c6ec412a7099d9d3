import type { Volume } from '../spec/index.ts';

/** Named directories that outlive containers; `local` driver. */
export interface Volumes {
  /** Existing name: returned as it is when options agree, else `conflict`. No name: 64 hex, with Docker's anonymous label. */
  create(request: {
    name?: string;
    driver?: string;
    options?: Record<string, string>;
    labels?: Record<string, string>;
    anonymous?: boolean;
  }): Promise<Volume>;
  list(): Volume[];
  /** @throws {EngineError} `not-found` "get x: no such volume" */
  inspect(name: string): Volume;
  /** @throws {EngineError} `conflict` "remove x: volume is in use - [ids]"; force ignores a missing one. */
  remove(name: string, force: boolean): Promise<void>;
  /** Mounts it if its options ask for a mount, and returns the host path; pairs with release. */
  acquire(name: string, containerId: string): Promise<string>;
  release(name: string, containerId: string): Promise<void>;
  /** Containers that refer to it, running or not. */
  refer(name: string, containerId: string): void;
  unrefer(name: string, containerId: string): void;
  referrers(name: string): string[];
  usageBytes(name: string): Promise<number>;
}
