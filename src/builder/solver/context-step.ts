import { statSync } from 'node:fs';
import { IgnoreRules } from '../../archive/index.ts';
import { digestSources, type CopySource } from '../ops/copy-sources.ts';
import { TreeCopier } from '../ops/copy-tree.ts';
import type { BuildRun } from './build-run.ts';
import type { StageState } from './stage.ts';
import { bareLayer } from './writable-tree.ts';

/** FROM a named context that is a directory: its files, and an empty configuration. */
export async function contextStep(run: BuildRun, state: StageState, directory: string): Promise<void> {
  const source: CopySource = { path: directory, name: '', stat: statSync(directory) };
  const exclude = new IgnoreRules([]);
  const digest = digestSources([source], { exclude, owners: false, counted: run.hashed });
  await run.services.maker.step(run, state, {
    createdBy: `COPY dir:${digest} in /`,
    inputs: [digest],
    config: state.imageConfig,
    makeLayer: () =>
      bareLayer(run, state, async (layer) => {
        const copier = new TreeCopier({
          root: layer.directory,
          lowerDirectories: layer.lowerDirectories,
          owner: { uid: 0, gid: 0 },
          chmod: undefined,
          syscall: run.services.parts.syscall,
          signal: run.signal,
        });
        try {
          await copier.source(source, '', exclude);
          copier.finish();
        } finally {
          copier.abort();
        }
      }),
  });
}
