import { packTreeChanges, treeChanges } from '../../archive/index.ts';
import type { LayerStack } from '../../images/index.ts';
import type { BuildSession } from '../solver/session.ts';
import type { PreparedOperation, TreeResult } from './prepared.ts';

/** The layers of all inputs, one on the other: no file is read. */
export function prepareMerge(session: BuildSession, inputs: readonly TreeResult[]): PreparedOperation {
  const { trees } = session.services.parts.images;
  const stacks = inputs.flatMap(({ stack }) => (stack === null ? [] : [stack]));
  return {
    quick: undefined,
    exact: () => ({
      texts: ['merge', ...inputs.slice(1).map(({ identity }) => identity)],
      source: inputs.at(-1)?.source ?? '',
    }),
    async run() {
      const [first, ...others] = stacks;
      let tree: LayerStack | null = first ?? null;
      for (const upper of others) tree = await trees.stack(tree, upper);
      const made = tree === null ? await trees.add({ below: null, layer: null }) : await trees.keep(tree);
      return { tree: made, ownLayers: made.layers.length - layersOf(session, first ?? null).length };
    },
  };
}

/**
 * What the second input has and the first has not. Layers on top of the first are taken as they are; other trees are
 * compared file by file.
 */
export function prepareDiff(session: BuildSession, lower: TreeResult, upper: TreeResult): PreparedOperation {
  const { trees } = session.services.parts.images;
  return {
    quick: undefined,
    exact: () => ({ texts: ['diff', upper.identity], source: '' }),
    async run() {
      const below = layersOf(session, lower.stack);
      const above = layersOf(session, upper.stack);
      if (upper.stack !== null && below.every((diffId, index) => above[index] === diffId)) {
        const tree = await trees.stack(null, upper.stack, below.length);
        return { tree, ownLayers: tree.layers.length };
      }
      const { syscall, snapshotter } = session.services.parts;
      const chainId = lower.stack?.chainId ?? null;
      const lowerDirectories = chainId === null ? [] : snapshotter.layerDirectories(chainId);
      const root = session.view(upper.stack?.chainId ?? null);
      const changes = await treeChanges(syscall, root, lowerDirectories, { complete: true });
      const tree = await trees.add({ below: null, layer: packTreeChanges(syscall, root, changes) });
      return { tree, ownLayers: tree.layers.length };
    },
  };
}

function layersOf(session: BuildSession, stack: LayerStack | null): readonly string[] {
  return stack === null ? [] : session.services.parts.images.trees.layersOf(stack);
}
