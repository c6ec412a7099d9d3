import type { NetworkWorld } from '../../fixtures/network-world.ts';

/** One option and what can be seen of it. */
export interface NetworkCase {
  title: string;
  see: (world: NetworkWorld) => Promise<unknown>;
  expected: unknown;
  /** Why dockerd 20.10 does otherwise. */
  notDockerd?: string;
}
