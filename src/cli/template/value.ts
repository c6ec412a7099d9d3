/**
 * What a template sees. Strings, numbers and booleans are themselves, arrays are slices, plain objects are maps,
 * `undefined` is a key that a map does not have and `null` is nil. A `Struct` is an object with a fixed set of fields.
 */
export type Value = unknown;

/** Functions as fields are methods; they get the template's arguments. */
export type Method = (...args: Value[]) => Value;

/** An object whose fields are known: asking it for another is an error. */
export abstract class Struct {
  /** Go's name of the type, for errors. */
  abstract readonly typeName: string;
  /** The field or method; undefined when there is none. */
  abstract field(name: string): { value: Value } | undefined;
  /** Values in order, for printing the whole. */
  abstract values(): readonly Value[];
  /** What `json` makes of it. */
  abstract toJSON(): unknown;
  /** The error text for a field that does not exist, where it is another than Go's usual. */
  missing?(name: string): string;
}

export function isMap(value: Value): value is Record<string, Value> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Struct);
}

/** Go's truth: zero, empty and nil are false. */
export function truth(value: Value): boolean {
  if (value === null || value === undefined || value === false || value === 0 || value === '') return false;
  if (Array.isArray(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  return true;
}

/** Go's name for a value's type. */
export function typeName(value: Value): string {
  if (value === null || value === undefined) return 'nil';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (Array.isArray(value)) return '[]interface {}';
  return value instanceof Struct ? value.typeName : 'map[string]interface {}';
}

/** Go's %v. */
export function show(value: Value): string {
  if (value === null || value === undefined) return '<nil>';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return showNumber(value);
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (value instanceof Struct) return `{${value.values().map(show).join(' ')}}`;
  const map = value as Record<string, Value>;
  return `map[${Object.keys(map)
    .toSorted()
    .map((key) => `${key}:${show(map[key])}`)
    .join(' ')}]`;
}

function showNumber(value: number): string {
  if (Number.isInteger(value)) return BigInt(value).toString();
  const text = String(value);
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

/** JSON as Go's encoder writes it: sorted map keys, and <, >, & escaped. */
export function goJson(value: Value, indent?: string): string {
  const text = JSON.stringify(value === undefined ? null : sortKeys(value), null, indent);
  return text.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const absent = Symbol('absent');

/** Marks an empty list or map as one that JSON writes as null: Go prints a nil slice like an empty one. */
export function nilCollection<T extends object>(value: T): T {
  Object.defineProperty(value, absent, { value: true });
  return value;
}

const ordered = Symbol('ordered');

/** Marks an object (as it came from the engine) as one whose order counts, like a Go struct's. */
export function keepOrder<T extends object>(value: T): T {
  Object.defineProperty(value, ordered, { value: true });
  return value;
}

function sortKeys(value: Value): unknown {
  if (value instanceof Struct) return sortKeys(value.toJSON());
  if (typeof value === 'object' && value !== null && absent in value) return null;
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isMap(value)) return value;
  if (ordered in value)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sortKeys(item)]));
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, sortKeys(value[key])]),
  );
}
