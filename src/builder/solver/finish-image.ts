import { packChanges, packTreeChanges, treeChanges } from '../../archive/index.ts';
import { EngineError } from '../../errors/index.ts';
import type { Image, LayerStack } from '../../images/index.ts';
import type { ImageConfig } from '../../spec/index.ts';
import type { BuildRequest } from '../builder.ts';
import { notAfter } from '../context/image-files.ts';
import { withInlineCache, withoutInlineCache } from '../remote-cache/inline-cache.ts';
import { exportsInline } from '../remote-cache/options.ts';
import type { BuildSession } from './session.ts';
import type { ReportedStage } from './stage-report.ts';

/** The seconds that `SOURCE_DATE_EPOCH` says. @throws {EngineError} `invalid-parameter` */
export function sourceDateEpoch(request: Pick<BuildRequest, 'buildArgs'>): number | undefined {
  const text = request.buildArgs?.['SOURCE_DATE_EPOCH'] ?? '';
  if (text === '') return undefined;
  // Go's and JavaScript's dates go further, tar's header without extensions does not.
  if (!/^\d{1,11}$/.test(text)) {
    throw new EngineError('invalid-parameter', `invalid SOURCE_DATE_EPOCH: ${text}`);
  }
  return Number(text);
}

/**
 * The image of a stage, in the form that the request asks for: all new layers as one (`squash`), the times of the image
 * (`SOURCE_DATE_EPOCH`) and of its new files (`rewriteTimestamps`) not later than a moment.
 */
export async function finishImage(session: BuildSession, stage: ReportedStage): Promise<Image> {
  const { trees } = session.services.parts.images;
  const { request } = session;
  const epochSeconds = sourceDateEpoch(request);
  const isEpoch = epochSeconds !== undefined;
  const made: (() => void)[] = [];
  try {
    const stack =
      isEpoch && request.rewriteTimestamps === true
        ? await rewritten(session, stage, epochSeconds, made)
        : stage.stack;
    const config = configOf(stage, epochSeconds);
    const diffIds = stack === null ? [] : trees.layersOf(stack);
    const image = await trees.image(
      stack,
      hasInlineCache(request) ? withInlineCache(config, diffIds, session.steps) : config,
    );
    return request.squash === true ? await squashed(session, stage, image, epochSeconds, made) : image;
  } finally {
    for (const unpin of made) unpin();
  }
}

function configOf({ state, history }: ReportedStage, epochSeconds: number | undefined): ImageConfig {
  const old = state.image?.config.history?.length ?? 0;
  const time = epochSeconds === undefined ? undefined : new Date(epochSeconds * 1000).toISOString();
  const entries = history.map((entry, index) =>
    time === undefined || index < old ? entry : { ...entry, created: time },
  );
  const config: ImageConfig = { ...state.imageConfig, history: entries };
  const created = time ?? history.at(-1)?.created;
  if (created !== undefined) config.created = created;
  delete config.comment;
  return withoutInlineCache(config);
}

/** Whether the image says by what its layers can be found again. */
function hasInlineCache({ cacheTo, buildArgs }: BuildRequest): boolean {
  const asked = buildArgs?.['BUILDKIT_INLINE_CACHE'];
  return exportsInline(cacheTo) || ['1', 'true'].includes((asked ?? '').toLowerCase());
}

/** The same layers above the base, with no time later than the moment. */
async function rewritten(
  session: BuildSession,
  { state, stack }: ReportedStage,
  epochSeconds: number,
  made: (() => void)[],
): Promise<LayerStack | null> {
  if (stack === null || stack.chainId === null) return stack;
  const { images, snapshotter, syscall } = session.services.parts;
  let below: LayerStack | null = state.image;
  const count = state.image?.config.rootfs.diff_ids.length ?? 0;
  const own = snapshotter.layerDirectories(stack.chainId).toReversed().slice(count);
  for (const directory of own) {
    below = await images.trees.add({ below, layer: notAfter(packChanges(syscall, directory), epochSeconds) });
    made.push(session.services.cache.pin(below.id));
  }
  return below;
}

/** What was built above the base as one layer. History keeps what was done, and says what became of it. */
async function squashed(
  session: BuildSession,
  { state }: ReportedStage,
  image: Image,
  epochSeconds: number | undefined,
  made: (() => void)[],
): Promise<Image> {
  const { images, snapshotter, syscall } = session.services.parts;
  const base = state.image;
  const root = session.view(image.chainId);
  const lower = base === null || base.chainId === null ? [] : snapshotter.layerDirectories(base.chainId);
  const changes = await treeChanges(syscall, root, lower, { complete: true });
  const layer = packTreeChanges(syscall, root, changes);
  const tree = await images.trees.add({ below: base, layer });
  made.push(session.services.cache.pin(tree.id));
  const old = base?.config.history?.length ?? 0;
  const created = new Date(epochSeconds === undefined ? Date.now() : epochSeconds * 1000).toISOString();
  const history = (image.config.history ?? []).map((entry, index) =>
    index < old ? entry : { ...entry, empty_layer: true },
  );
  const comment = base === null ? `create new from ${image.id}` : `merge ${image.id} to ${base.id}`;
  return await images.trees.image(tree, {
    ...withoutInlineCache(image.config),
    created,
    history: [...history, { created, comment }],
  });
}
