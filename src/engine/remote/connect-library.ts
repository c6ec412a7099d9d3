import { ApiClient, type Endpoint } from '../../client/index.ts';
import { EngineError, errorMessage } from '../../errors/index.ts';
import { libraryMethods, type Library } from '../library.ts';
import { Peer } from './peer.ts';

/** Path of the calls, beside Docker's API. */
export const libraryPath = '/coracle/engine';

/** The library of an engine in another process: each call goes over a connection of its own. */
export function connectLibrary(endpoint: Endpoint): Library {
  const client = new ApiClient({ endpoint });
  const method =
    (name: string) =>
    (...args: unknown[]) => {
      const result = call(client, name, args);
      // The one method that gives a stream and no promise of it.
      return name === 'images.save' ? flattened(result as Promise<AsyncIterable<Uint8Array>>) : result;
    };
  const rooms = Object.entries(libraryMethods).map(([room, names]) => [
    room,
    Object.fromEntries(names.map((name) => [name, method(`${room}.${name}`)])),
  ]);
  return {
    ...(Object.fromEntries(rooms) as Omit<Library, 'facts'>),
    facts: method('facts') as Library['facts'],
  };
}

async function call(client: ApiClient, name: string, args: unknown[]): Promise<unknown> {
  const { socket, rest } = await client.hijack(libraryPath).catch((error: unknown) => {
    throw new EngineError('unavailable', `Cannot reach the engine: ${errorMessage(error)}`, { cause: error });
  });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const peer = new Peer(socket, rest, {
    onResult: (result) => ('error' in result ? reject(result.error) : resolve(result.value)),
    onEnd: reject,
  });
  peer.call(name, args);
  return promise;
}

async function* flattened(
  stream: Promise<AsyncIterable<Uint8Array>>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* await stream;
}
