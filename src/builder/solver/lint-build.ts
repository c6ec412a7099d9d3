import type { IgnoreRules } from '../../archive/index.ts';
import type { Image } from '../../images/index.ts';
import { lintDockerfile } from '../dockerfile/lint/lint.ts';
import type { StageSurroundings } from '../dockerfile/lint/stage-rules.ts';
import type { PlannedStage } from '../graph/plan.ts';
import { baseImage, stagePlatform, type Compilation } from './stage-compiler.ts';

/**
 * Checks the Dockerfile of a build.
 * @param options.all of the file, whatever the target needs
 * @param options.ignored what is not in the context
 */
export async function lintBuild(
  build: Compilation,
  { all, ignored }: { all: boolean; ignored: IgnoreRules },
): Promise<ReturnType<typeof lintDockerfile>> {
  const { file, session, platformArgs, images } = build;
  const { stages, needed, metaArgs } = build.plan;
  const looked = all ? stages : needed;
  const found = new Map<number, Image>();
  for (const planned of looked) {
    const base = baseImage(build, planned);
    if (base !== undefined) found.set(planned.index, await images.find(base.name, base.platform));
  }
  const ends = new Map<number, Pick<StageSurroundings, 'variables' | 'hasShell'>>();
  const given = new Map([...platformArgs, ...metaArgs]);
  for (const [name, value] of Object.entries(session.buildArgs)) if (value !== null) given.set(name, value);
  return lintDockerfile({
    file,
    needed: new Set(looked.map(({ index }) => index)),
    platformArgs,
    metaArgs,
    surroundings: (index) => {
      const planned = stages[index];
      const before = planned?.base.kind === 'stage' ? ends.get(planned.base.index) : undefined;
      const image = found.get(index);
      const config = image?.config.config;
      const foreignBase = image && planned && foreign(build, planned, image);
      return {
        escape: file.escape,
        variables: before?.variables ?? environmentOf(config?.Env ?? []),
        hasShell: before?.hasShell ?? (config?.Shell?.length ?? 0) > 0,
        ...(foreignBase === undefined ? {} : { foreignBase }),
        given,
        ignored,
        ended: (variables, hasShell) => ends.set(index, { variables, hasShell }),
      };
    },
  });
}

function foreign(build: Compilation, planned: PlannedStage, image: Image): StageSurroundings['foreignBase'] {
  const { os, architecture } = image.config;
  const wanted = stagePlatform(build, planned);
  if (architecture === '' || (os === wanted.os && architecture === wanted.architecture)) return undefined;
  const expected = `${wanted.os}/${wanted.architecture}`;
  return { name: planned.stage.base, expected, actual: `${os}/${architecture}` };
}

/** `A=b` entries by name; a PATH is there in any case. */
function environmentOf(entries: readonly string[]): Map<string, string> {
  const variables = new Map([['PATH', '']]);
  for (const entry of entries) {
    const equals = entry.indexOf('=');
    if (equals > 0) variables.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return variables;
}
