import { EngineError } from '../../errors/index.ts';
import { route, type Method, type Route } from '../route.ts';

/** A route whose whole answer is a reason. */
export function refuse(
  method: Method,
  path: string,
  operation: string,
  note: string,
  handle: () => never,
  since?: number,
): Route {
  return route({
    method,
    path,
    operation,
    note,
    coverage: 'refused',
    ...(since === undefined ? {} : { since }),
    handle,
  });
}

/** 501 with a sentence about what this engine does not do yet. */
export function notYet(what: string): () => never {
  return () => {
    throw new EngineError('not-implemented', `${what} not supported by this engine yet`);
  };
}
