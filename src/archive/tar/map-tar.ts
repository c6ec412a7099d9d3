import { EngineError } from '../../errors/index.ts';
import { readTar, type TarEntry } from './reader.ts';
import { writeTar, type TarSource } from './writer.ts';

/** A tar stream with each member replaced by what `map` makes of it: none, one or several. */
export function mapTar(
  input: AsyncIterable<Uint8Array>,
  map: (entry: TarEntry) => Iterable<TarSource> | AsyncIterable<TarSource>,
): AsyncIterable<Uint8Array> {
  const members = async function* (): AsyncGenerator<TarSource> {
    for await (const entry of readTar(input)) yield* map(entry);
  };
  return writeTar(members());
}

/** A member that was read, to be written again. @throws {EngineError} `invalid-parameter` for one of an unknown type */
export function memberAgain(entry: TarEntry): TarSource {
  const { type } = entry;
  if (type === 'other') throw new EngineError('invalid-parameter', `unknown type of ${entry.path}`);
  return { ...entry, type, body: entry.body() };
}
