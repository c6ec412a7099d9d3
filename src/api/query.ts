import { EngineError } from '../errors/index.ts';
import type { Filters } from '../containers/index.ts';
import { parseFilters } from './filters.ts';
import { parseTimestamp } from './timestamp.ts';

/** How one parameter of a query string is read; conversions as in moby's httputils. */
export type QueryField<T> = (parameters: URLSearchParams, name: string) => T;
export type QueryFields = Readonly<Record<string, QueryField<unknown>>>;
export type QueryValues<F extends QueryFields> = { readonly [K in keyof F]: ReturnType<F[K]> };

/** The declared parameters of a request; others are ignored, as Docker ignores them. */
export function readQuery<F extends QueryFields>(fields: F, parameters: URLSearchParams): QueryValues<F> {
  const values: Record<string, unknown> = {};
  for (const name in fields) values[name] = fields[name]?.(parameters, name);
  return values as QueryValues<F>;
}

/** '' when missing. */
export const text: QueryField<string> = (parameters, name) => parameters.get(name) ?? '';

/** Undefined when missing. */
export const maybeText: QueryField<string | undefined> = (parameters, name) =>
  parameters.get(name) ?? undefined;

/** Every value of a repeated parameter. */
export const texts: QueryField<string[]> = (parameters, name) => parameters.getAll(name);

/** False for nothing, `0`, `no`, `false` and `none`; true for anything else. */
export const flag: QueryField<boolean> = (parameters, name) =>
  !['', '0', 'no', 'false', 'none'].includes((parameters.get(name) ?? '').trim().toLowerCase());

/** As flag, with this value when the parameter is not there at all. */
export function flagOr(whenMissing: boolean): QueryField<boolean> {
  return (parameters, name) => (parameters.has(name) ? flag(parameters, name) : whenMissing);
}

/** Undefined when missing or empty. @throws {EngineError} with the text of Go's strconv.Atoi */
export const integer: QueryField<number | undefined> = (parameters, name) => {
  const given = parameters.get(name) ?? '';
  if (given === '') return undefined;
  if (!/^[+-]?\d+$/.test(given)) {
    throw invalid(`strconv.Atoi: parsing ${JSON.stringify(given)}: invalid syntax`);
  }
  return Number(given);
};

/** A terminal's height or width. @throws {EngineError} `invalid resize height "x": invalid syntax` */
export function dimension(label: 'height' | 'width'): QueryField<number> {
  return (parameters, name) => {
    const given = parameters.get(name) ?? '';
    const wrong = (why: string) => invalid(`invalid resize ${label} ${JSON.stringify(given)}: ${why}`);
    if (!/^-?\d+$/.test(given)) throw wrong('invalid syntax');
    const value = Number(given);
    if (value < 0 || value > 0xffffffff) throw wrong('value out of range');
    return value;
  };
}

/** Unix seconds with optional nanoseconds, a date or a duration before now; undefined when missing or empty. */
export const timestamp: QueryField<bigint | undefined> = (parameters, name) => {
  const given = parameters.get(name) ?? '';
  return given === '' ? undefined : parseTimestamp(given, name);
};

/** Docker's `filters` map. */
export const filters: QueryField<Filters> = (parameters, name) => parseFilters(parameters.get(name) ?? '');

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
