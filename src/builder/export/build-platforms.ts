import { mkdirSync } from 'node:fs';
import type { BuildRequest } from '../builder.ts';
import type { BuildContext } from '../context/build-context.ts';
import type { BuildTrace } from '../progress/trace.ts';
import { withSource } from '../progress/source-error.ts';
import { BuildRun } from '../solver/build-run.ts';
import type { BuildServices, BuildSession } from '../solver/session.ts';
import { platformsOf, type BuiltImage } from './export-image.ts';
import { provenance } from './provenance.ts';

/**
 * Builds for all platforms of the request at the same time, from one context. The failure of one stops the others.
 * @param options.sessions gets those that were begun, also when this throws: the caller closes them
 * @param options.directory private to the build
 */
export async function buildPlatforms(
  services: BuildServices,
  request: BuildRequest,
  context: BuildContext,
  options: { directory: string; signal: AbortSignal; trace: BuildTrace; sessions: BuildSession[] },
): Promise<BuiltImage[]> {
  const platforms = platformsOf(request.platform ?? '');
  const isSeveral = platforms.length > 1;
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const build = async (platform: string, index: number): Promise<BuiltImage> => {
    const directory = isSeveral ? `${options.directory}/platform-${index}` : options.directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const startedAtMs = Date.now();
    const own: BuildRequest = { ...request, platform };
    const run = new BuildRun(services, own, context, {
      directory,
      signal,
      trace: options.trace,
      label: isSeveral ? platform : '',
    });
    options.sessions.push(run.session);
    const image = await run.run();
    if (request.provenance === undefined) return { image, statements: [], known: run.known };
    const statement = provenance(own, request.provenance, {
      context,
      materials: run.session.materials.all,
      machine: services.options.platform,
      startedAtMs,
      finishedAtMs: Date.now(),
    });
    return { image, statements: [statement], known: run.known };
  };
  const ended = await Promise.allSettled(
    platforms.map((platform, index) =>
      build(platform, index).catch((error: unknown) => {
        failure.abort(error);
        throw error;
      }),
    ),
  );
  options.signal.throwIfAborted();
  if (failure.signal.aborted) throw withSource(failure.signal.reason, context);
  return ended.map((result) => (result as PromiseFulfilledResult<BuiltImage>).value);
}
