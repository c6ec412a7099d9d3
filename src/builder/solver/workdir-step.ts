import { lstatSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import { TreeCopier } from '../ops/copy-tree.ts';
import { realPathIn } from '../ops/real-path.ts';
import { nextWorkingDirectory } from './apply-config.ts';
import { nopText, type BuildRun } from './build-run.ts';
import { bareLayer } from './writable-tree.ts';
import type { StageState } from './stage.ts';

/** WORKDIR: the directory is made when it is missing. */
export async function workdirStep(run: BuildRun, state: StageState, value: string): Promise<void> {
  const path = nextWorkingDirectory(state.config, state.expand(value));
  const { parts, maker } = run.services;
  await maker.step(run, state, {
    createdBy: nopText(state.config, `WORKDIR ${path}`),
    inputs: [],
    config: { ...state.imageConfig, config: { ...state.config, WorkingDir: path } },
    makeLayer: () =>
      bareLayer(run, state, ({ directory, view, lowerDirectories }) => {
        const real = realPathIn(view, path);
        if (real === '') return;
        const stat = lstatSync(`${view}/${real}`, { throwIfNoEntry: false });
        if (stat?.isDirectory() === true) return;
        if (stat !== undefined) throw new EngineError('internal', `Cannot mkdir: ${path} is not a directory`);
        const copier = new TreeCopier({
          root: directory,
          lowerDirectories,
          owner: undefined,
          chmod: undefined,
          syscall: parts.syscall,
          signal: run.signal,
        });
        copier.parents(view, real);
        copier.directory(real);
        copier.finish();
      }),
  });
}
