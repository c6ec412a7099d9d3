/**
 * Shapes of request bodies, decoded as Go's encoding/json decodes into a struct, because that is what Docker's clients
 * are written against: member names match in any case, unknown members are skipped, null leaves the zero value, and
 * a wrong type is reported in Go's words. (docs/adr: why not a JSON Schema library.)
 */
export interface Schema<T> {
  /** As Go names it in errors: `int64`, `[]string`. */
  readonly goType: string;
  /** A fresh zero value, for a missing or null member; undefined for an optional member (it stays missing). */
  zero(): T;
  decode(value: unknown, at: Position): T;
}

/** Where decoding is: the innermost struct's name and the path of members from the top. */
export interface Position {
  readonly struct: string;
  readonly path: string;
}

/** A member that stays missing when it is missing or null. */
export interface OptionalSchema<T> extends Schema<T> {
  readonly optional: true;
}

/** One schema for each member of T; optional members of T need an OptionalSchema, required ones must not have one. */
export type Fields<T> = {
  readonly [K in keyof T]-?: undefined extends T[K]
    ? OptionalSchema<Exclude<T[K], undefined>>
    : Schema<T[K]> & { readonly optional?: never };
};

/** A JSON value of the wrong type; the message is Go's UnmarshalTypeError. */
export class JsonTypeError extends Error {
  constructor(value: unknown, goType: string, at: Position) {
    const place = at.path === '' ? 'value' : `struct field ${at.struct}.${at.path}`;
    super(`json: cannot unmarshal ${describe(value)} into Go ${place} of type ${goType}`);
    this.name = 'JsonTypeError';
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'number':
      return 'number';
    default:
      return 'object';
  }
}

function scalar<T>(goType: string, zero: T, accepts: (value: unknown) => value is T): Schema<T> {
  return {
    goType,
    zero: () => zero,
    decode(value, at) {
      if (!accepts(value)) throw new JsonTypeError(value, goType, at);
      return value;
    },
  };
}

/** A string; `T` narrows it to the words the type names, whose meaning the engine checks. */
export function string<T extends string = string>(goType = 'string'): Schema<T> {
  return scalar(goType, '' as T, (value): value is T => typeof value === 'string');
}

export function boolean(): Schema<boolean> {
  return scalar('bool', false, (value): value is boolean => typeof value === 'boolean');
}

const bounds: Record<string, [number, number]> = {
  int: [-(2 ** 63), 2 ** 63],
  int64: [-(2 ** 63), 2 ** 63],
  uint: [0, 2 ** 64],
  uint16: [0, 2 ** 16 - 1],
  uint32: [0, 2 ** 32 - 1],
  uint64: [0, 2 ** 64],
};

/** A whole number of Go's type; a fraction or overflow is reported as Go does, with the number. */
export function integer(
  goType: 'int' | 'int64' | 'uint' | 'uint16' | 'uint32' | 'uint64' = 'int64',
): Schema<number> {
  const [low, high] = bounds[goType] as [number, number];
  return {
    goType,
    zero: () => 0,
    decode(value, at) {
      if (typeof value !== 'number') throw new JsonTypeError(value, goType, at);
      if (!Number.isInteger(value) || value < low || value > high) {
        const error = new JsonTypeError(value, goType, at);
        error.message = error.message.replace('unmarshal number', `unmarshal number ${value}`);
        throw error;
      }
      return value;
    },
  };
}

/** A pointer in Go: null stays null. */
export function nullable<T>(schema: Schema<T>): Schema<T | null> {
  return { goType: schema.goType, zero: () => null, decode: (value, at) => schema.decode(value, at) };
}

/** `omitempty` in Go: missing and null stay missing. */
export function optional<T>(schema: Schema<T>): OptionalSchema<T> {
  return { ...schema, optional: true };
}

/** A slice: null when missing. */
export function list<T>(element: Schema<T>): Schema<T[] | null> {
  const goType = `[]${element.goType}`;
  return {
    goType,
    zero: () => null,
    decode(value, at) {
      if (!Array.isArray(value)) throw new JsonTypeError(value, goType, at);
      return value.map((item: unknown) => (item === null ? element.zero() : element.decode(item, at)));
    },
  };
}

/** A fixed-size array; missing elements are zero, surplus ones are dropped, as in Go. */
export function pair(element: Schema<number>): Schema<[number, number]> {
  const goType = `[2]${element.goType}`;
  return {
    goType,
    zero: () => [0, 0],
    decode(value, at) {
      if (!Array.isArray(value)) throw new JsonTypeError(value, goType, at);
      const items = value.slice(0, 2).map((item: unknown) => element.decode(item ?? 0, at));
      return [items[0] ?? 0, items[1] ?? 0];
    },
  };
}

/** A map with string keys: null when missing. */
export function map<T>(element: Schema<T>): Schema<Record<string, T> | null> {
  const goType = `map[string]${element.goType}`;
  return {
    goType,
    zero: () => null,
    decode(value, at) {
      if (!isObject(value)) throw new JsonTypeError(value, goType, at);
      const result: Record<string, T> = {};
      for (const [key, item] of Object.entries(value)) {
        define(result, key, item === null ? element.zero() : element.decode(item, at));
      }
      return result;
    },
  };
}

/** Another zero value than Go's, for members that are never null on our side. */
export function withZero<T, Z extends T>(schema: Schema<T>, zero: () => Z): Schema<NonNullable<T>> {
  return {
    goType: schema.goType,
    zero: zero as () => NonNullable<T>,
    decode: (value, at) => schema.decode(value, at) as NonNullable<T>,
  };
}

/** moby's strslice: one string or a list of them. */
export function stringOrList(): Schema<string[] | null> {
  const strings = list(string());
  return {
    goType: 'string',
    zero: () => null,
    decode(value, at) {
      if (Array.isArray(value) && value.every((item) => typeof item === 'string')) {
        return strings.decode(value, at);
      }
      if (typeof value === 'string') return [value];
      throw new JsonTypeError(value, 'string', at);
    },
  };
}

/** `struct{}` in Go: any object. */
export function emptyObject(): Schema<object> {
  return scalar('struct {}', {}, isObject);
}

/** A struct with these members. Several names decode the same object when structs embed one another: see `merge`. */
export function struct<T extends object>(name: string, fields: Fields<T>): Schema<T> {
  const entries = Object.entries(fields) as [keyof T & string, Schema<unknown> & { optional?: boolean }][];
  const byName = new Map(entries.map(([key, schema]) => [key.toLowerCase(), { key, schema }]));
  const zero = (): T => {
    const result: Record<string, unknown> = {};
    for (const [key, schema] of entries) if (schema.optional !== true) result[key] = schema.zero();
    return result as T;
  };
  return {
    goType: name,
    zero,
    decode(value, at) {
      if (!isObject(value)) throw new JsonTypeError(value, name, at);
      const result = zero() as Record<string, unknown>;
      const structName = name.slice(name.lastIndexOf('.') + 1);
      for (const [key, item] of Object.entries(value)) {
        const field = byName.get(key.toLowerCase());
        if (field === undefined || item === null) continue;
        const path = at.path === '' ? field.key : `${at.path}.${field.key}`;
        result[field.key] = field.schema.decode(item, { struct: structName, path });
      }
      return result as T;
    },
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Assignment that cannot reach `__proto__`'s setter. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}
