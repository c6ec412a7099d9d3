import { EngineError, errorMessage, isEngineError } from '../errors/index.ts';

/** Exit codes of a container whose start failed, as shells have them. */
const cannotInvoke = 126;
const notFound = 127;
export const unknownFailure = 128;

/**
 * What a failed start means to Docker's clients: they read exit code and class from the text.
 * @see moby daemon/errors.go, setExitCodeFromError
 */
export function startFailure(error: unknown): { error: EngineError; exitCode: number } {
  const message = errorMessage(error);
  const text = message.toLowerCase();
  const invalid = (exitCode: number, suffix = '') => ({
    error: new EngineError('invalid-parameter', message + suffix, { cause: error }),
    exitCode,
  });
  if (text.includes('permission denied')) return invalid(cannotInvoke);
  if (text.includes('is a directory')) return invalid(cannotInvoke, ': permission denied');
  if (text.includes('not a directory')) {
    return invalid(
      notFound,
      ': Are you trying to mount a directory onto a file (or vice-versa)? ' +
        'Check if the specified host path exists and is the expected type',
    );
  }
  if (text.includes('executable file not found') || text.includes('no such file or directory')) {
    return invalid(notFound);
  }
  if (isEngineError(error)) return { error: error as EngineError, exitCode: unknownFailure };
  return { error: new EngineError('internal', message, { cause: error }), exitCode: unknownFailure };
}
