import { EngineError, isEngineError } from '../errors/index.ts';
import { RegistryError, diagnosticText } from '../registry/index.ts';
import { familiarName, familiarReference, type Reference } from '../spec/index.ts';

/** The error of a pull in Docker's words. */
export function pullError(error: unknown, reference: Reference): unknown {
  if (!(error instanceof RegistryError)) {
    // A registry that cannot be reached is no fault of this engine's own availability.
    const remote = isEngineError(error) && error.kind === 'unavailable';
    return remote ? new EngineError('internal', error.message, { code: error.code, cause: error }) : error;
  }
  const [first] = error.diagnostics;
  const notFound = (text: string): EngineError =>
    new EngineError('not-found', text, { code: 'no-such-manifest', cause: error });
  if (first === undefined) return new EngineError('internal', error.message, { cause: error });
  const text = diagnosticText(first);
  switch (first.code) {
    case 'DENIED':
      return notFound(
        `pull access denied for ${familiarName(reference)}, repository does not exist or may require 'docker login': ${text}`,
      );
    case 'MANIFEST_UNKNOWN':
      return notFound(`manifest for ${familiarReference(reference)} not found: ${text}`);
    case 'NAME_UNKNOWN':
      return notFound(`repository ${familiarName(reference)} not found: ${text}`);
    default:
      return new EngineError('internal', text, { cause: error });
  }
}

export function schema1Refused(reference: Reference): EngineError {
  return new EngineError(
    'invalid-parameter',
    `Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of ${familiarReference(reference)} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/`,
    { code: 'schema-1' },
  );
}
