import type { NetworkWorld } from '../../fixtures/network-world.ts';

/** One option and what can be seen of it. */
export interface NetworkCase {
  title: string;
  see: (world: NetworkWorld) => Promise<unknown>;
  expected: unknown;
  /** Where dockerd 20.10 knows the option and does otherwise: what is seen there, and why ours differs. */
  onDockerd?: { expected: unknown; because: string };
  /** Why the case says nothing about dockerd 20.10 (it has no such option, or our engine alone promises it). */
  notDockerd?: string;
}
