import type { Duplex } from 'node:stream';
import { EngineError } from '../../errors/index.ts';
import { libraryMethods, type Library } from '../library.ts';
import { Peer } from './peer.ts';

/**
 * Answers one call of another process, made on a connection of its own. What the call began (a session, a stream, a wait)
 * ends with the connection; an operation that is under way is completed, unless it was given a signal.
 */
export function serveLibrary(library: Library, connection: Duplex): void {
  new Peer(connection, Buffer.alloc(0), {
    onCall: (method, args) => call(library, method, args),
    onEnd: () => undefined,
  });
}

async function call(library: Library, name: string, args: unknown[]): Promise<unknown> {
  if (name === 'facts') return library.facts();
  const [room = '', method = ''] = name.split('.');
  const isKnown =
    room in libraryMethods && libraryMethods[room as keyof typeof libraryMethods].includes(method);
  if (!isKnown) throw new EngineError('not-implemented', `The engine has no method ${name}`);
  const methods = library[room as keyof typeof libraryMethods] as unknown as Record<
    string,
    (...args: unknown[]) => unknown
  >;
  return methods[method]?.(...args);
}
