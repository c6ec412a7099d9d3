import type { ApiVersion } from './api-version.ts';
import type { Exchange } from './exchange.ts';
import { readBody } from './json/read-body.ts';
import type { Schema } from './json/schema.ts';
import { readQuery, type QueryFields, type QueryValues } from './query.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS';

/** How far an operation goes here: all of it, parts, or an honest refusal. */
export type Coverage = 'full' | 'partial' | 'refused';

/** One row of the router's table. */
export interface Route {
  readonly method: Method;
  /** As the specification writes it: `/containers/{id}/start`. A parameter takes slashes too (image names). */
  readonly path: string;
  /** The specification's operationId, or a name of ours in parentheses when it has none. */
  readonly operation: string;
  /** The first API version that has it; older requests get 404. */
  readonly since?: ApiVersion;
  readonly coverage: Coverage;
  /** What is missing, for docs/api.md. */
  readonly note?: string;
  /** True: an `Upgrade` header is honoured, the exchange then owns the connection. */
  readonly upgrades?: boolean;
  readonly queryNames: readonly string[];
  readonly handle: (exchange: Exchange) => Promise<void> | void;
}

interface RouteDefinition<Q extends QueryFields, B> {
  method: Method;
  path: string;
  operation: string;
  since?: ApiVersion;
  coverage?: Coverage;
  note?: string;
  upgrades?: boolean;
  query?: Q;
  body?: Schema<B>;
  /** An empty body is an error, where it is the zero value elsewhere. */
  bodyRequired?: boolean;
  handle: (exchange: Exchange, query: QueryValues<Q>, body: B) => Promise<void> | void;
}

/** A row whose handler gets the query and the body decoded and checked. */
export function route<Q extends QueryFields = Record<never, never>, B = undefined>(
  definition: RouteDefinition<Q, B>,
): Route {
  const { query = {} as Q, body, bodyRequired = false, handle, coverage = 'full', ...rest } = definition;
  const names = Object.keys(query);
  return {
    ...rest,
    coverage,
    queryNames: names,
    handle(exchange) {
      const values = names.length === 0 ? ({} as QueryValues<Q>) : readQuery(query, parameters(exchange));
      if (body === undefined) return handle(exchange, values, undefined as B);
      return readBody(exchange, body, { empty: bodyRequired ? 'error' : 'zero' }).then((decoded) =>
        handle(exchange, values, decoded),
      );
    },
  };
}

function parameters(exchange: Exchange): URLSearchParams {
  const url = exchange.request.url ?? '';
  const mark = url.indexOf('?');
  return new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
}
