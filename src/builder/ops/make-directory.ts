import { lstatSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { MakeDirectoryAction } from '../graph/operation.ts';
import type { BuildSession } from '../solver/session.ts';
import { TreeCopier } from './copy-tree.ts';
import { bareLayer } from './new-layer.ts';
import { resolveOwner } from './owner.ts';
import type { PreparedOperation, TreeResult } from './prepared.ts';
import { realPathIn } from './real-path.ts';

/** A directory that is made when it is missing. */
export function prepareMakeDirectory(
  session: BuildSession,
  { path, owner }: MakeDirectoryAction,
  root: TreeResult,
): PreparedOperation {
  const texts = ['mkdir', path, owner];
  const { syscall } = session.services.parts;
  return {
    quick: undefined,
    exact: () => ({ texts, source: '' }),
    run: async (job) => ({
      layer: await bareLayer(session, root.stack, ({ directory, view, lowerDirectories }) => {
        const real = realPathIn(view, path);
        if (real === '') return;
        const stat = lstatSync(`${view}/${real}`, { throwIfNoEntry: false });
        if (stat?.isDirectory() === true) return;
        if (stat !== undefined) throw new EngineError('internal', `Cannot mkdir: ${path} is not a directory`);
        const copier = new TreeCopier({
          root: directory,
          lowerDirectories,
          owner: owner === '' ? undefined : resolveOwner(syscall, view, owner),
          chmod: undefined,
          syscall,
          signal: job.signal,
        });
        copier.parents(view, real);
        copier.directory(real);
        copier.finish();
      }),
    }),
  };
}
