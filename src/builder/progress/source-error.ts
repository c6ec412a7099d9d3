import { EngineError, errorMessage, isEngineError } from '../../errors/index.ts';
import type { BuildContext } from '../context/build-context.ts';
import { locationOf, sourceExcerpt } from '../dockerfile/location.ts';

/** What went wrong as BuildKit's solver says it, where that is not what Docker's classic builder says. */
export function solveText(error: unknown): string {
  const text = isEngineError(error) ? error.details['solveText'] : undefined;
  return typeof text === 'string' ? text : errorMessage(error);
}

/**
 * The same error with `details.source`: the lines of the Dockerfile that it comes from, marked, as text for people.
 * Errors without a place in the file are given back as they are.
 */
export function withSource(
  error: unknown,
  context: Pick<BuildContext, 'dockerfile' | 'dockerfileName'>,
): unknown {
  const place = locationOf(error);
  if (place === undefined || !isEngineError(error)) return error;
  const source = sourceExcerpt(context.dockerfileName, context.dockerfile, place);
  if (source === '') return error;
  return new EngineError(error.kind, error.message, {
    code: error.code,
    details: { ...error.details, source, line: place.line },
    cause: error,
  });
}
