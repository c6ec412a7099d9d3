import { EngineError, type ErrorKind } from '../errors/index.ts';
import { connectionText } from '../registry/index.ts';

const kinds: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid-parameter',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
};
const maxTextBytes = 64 * 1024;

/**
 * Fetches what `import` is given a URL for.
 * @throws {EngineError} with Docker's texts: that there is no answer, or the status of a bad one
 */
export async function openRemoteArchive(
  url: URL,
  signal: AbortSignal,
): Promise<{ body: AsyncIterable<Uint8Array>; sizeBytes: number }> {
  let response: Response;
  try {
    response = await fetch(url, { signal, redirect: 'follow' });
  } catch (error) {
    signal.throwIfAborted();
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    throw new EngineError('internal', `Get "${url.href}": ${connectionText(cause, url)}`, { cause: error });
  }
  const { status, statusText, body } = response;
  if (status >= 400 || body === null) {
    const said = Buffer.from(await response.arrayBuffer()).subarray(0, maxTextBytes);
    throw new EngineError(
      kinds[status] ?? 'internal',
      `failed to GET ${url.href} with status ${status} ${statusText}: ${said.toString('utf8').trim()}`,
    );
  }
  // What the client unpacked on the way has another size than was announced.
  const isAsSent = response.headers.get('content-encoding') === null;
  const length = Number(response.headers.get('content-length') ?? -1);
  return { body: body as AsyncIterable<Uint8Array>, sizeBytes: isAsSent && length > 0 ? length : 0 };
}
