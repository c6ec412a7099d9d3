import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { EngineError, errorMessage } from '../../errors/index.ts';
import { withoutCredentials } from './git-reference.ts';

type Fail = (why: string, cause?: unknown) => EngineError;

/** Begins to fetch a URL. @throws what `failed` makes of the reason */
export async function openUrl(
  url: string,
  signal: AbortSignal,
  failed: Fail,
): Promise<Response & { body: ReadableStream<Uint8Array> }> {
  let response: Response;
  const shown = withoutCredentials(url);
  try {
    response = await fetch(url, { signal, redirect: 'follow' });
  } catch (error) {
    signal.throwIfAborted();
    const { cause } = error as Error;
    throw failed(`Get ${JSON.stringify(shown)}: ${errorMessage(cause ?? error)}`, error);
  }
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw failed(`failed to GET ${shown} with status ${response.status} ${response.statusText}`);
  }
  return response as Response & { body: ReadableStream<Uint8Array> };
}

/** The bytes behind the URL of a remote context. @throws {EngineError} `invalid-parameter` */
export async function fetchRemote(url: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  if (!/^https?:\/\//.test(url)) {
    throw new EngineError('invalid-parameter', `remoteURL (${url}) could not be recognized as URL`);
  }
  const response = await openUrl(
    url,
    signal,
    (why, cause) =>
      new EngineError(
        'invalid-parameter',
        `error downloading remote context ${withoutCredentials(url)}: ${why}`,
        cause === undefined ? {} : { cause },
      ),
  );
  return Readable.fromWeb(response.body);
}
