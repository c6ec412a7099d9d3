import { goJson, isMap, show, truth, typeName, type Value } from './value.ts';

/** A function that templates call. `argc` bounds the number of arguments. */
export interface TemplateFunction {
  min: number;
  max: number;
  call: (...args: Value[]) => Value;
}

function fn(min: number, max: number, call: (...args: Value[]) => Value): TemplateFunction {
  return { min, max, call };
}

function text(value: Value, name: string): string {
  if (typeof value !== 'string')
    throw new Error(`wrong type for value; expected string; got ${typeName(value)} in ${name}`);
  return value;
}

function integer(value: Value): number {
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw new Error(`cannot index slice/array with type ${typeName(value)}`);
  return value;
}

function length(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (isMap(value)) return Object.keys(value).length;
  if (value === null || value === undefined) throw new Error('len of nil pointer');
  throw new Error(`len of type ${typeName(value)}`);
}

/** What Go gives for a key that a map does not have: the zero of its values' type. */
function zeroOf(map: Record<string, Value>): Value {
  return Object.values(map).every((value) => typeof value === 'string') ? '' : undefined;
}

function index(item: Value, ...keys: Value[]): Value {
  let value = item;
  for (const key of keys) {
    if (value === null || value === undefined) throw new Error('index of untyped nil');
    if (typeof value === 'string') {
      const bytes = Buffer.from(value);
      const at = integer(key);
      if (at < 0 || at >= bytes.length)
        throw new Error(at < 0 ? `index out of range: ${at}` : 'reflect: string index out of range');
      value = bytes[at];
    } else if (Array.isArray(value)) {
      const at = integer(key);
      if (at < 0 || at >= value.length) throw new Error(`index out of range: ${at}`);
      value = value[at] as Value;
    } else if (isMap(value)) {
      if (typeof key !== 'string') throw new Error(`value has type ${typeName(key)}; should be string`);
      value = Object.hasOwn(value, key) ? value[key] : zeroOf(value);
    } else throw new Error(`can't index item of type ${typeName(value)}`);
  }
  return value;
}

function slice(item: Value, ...bounds: Value[]): Value {
  if (typeof item !== 'string' && !Array.isArray(item))
    throw new Error(`can't slice item of type ${typeName(item)}`);
  const size = length(item);
  const [from = 0, to = size] = bounds.map(integer);
  for (const bound of [from, to])
    if (bound < 0 || bound > size) throw new Error(`index out of range: ${bound}`);
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`);
  return typeof item === 'string' ? Buffer.from(item).toString('utf8', from, to) : item.slice(from, to);
}

function comparable(a: Value, b: Value): void {
  if (typeof a !== typeof b) throw new Error('incompatible types for comparison');
}

function equal(first: Value, ...others: Value[]): boolean {
  if (typeof first === 'object' && first !== null)
    throw new Error(`non-comparable type ${typeName(first)}: ${show(first)}`);
  return others.some((other) => {
    if (first === null || first === undefined || other === null || other === undefined)
      return (first ?? null) === (other ?? null);
    comparable(first, other);
    return first === other;
  });
}

function less(a: Value, b: Value): boolean {
  comparable(a, b);
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string)) < 0;
  if (typeof a === 'number') return a < (b as number);
  throw new Error('invalid type for comparison');
}

function sprint(args: readonly Value[]): string {
  let result = '';
  args.forEach((arg, i) => {
    // Go puts a space between two operands when neither is a string.
    if (i > 0 && typeof arg !== 'string' && typeof args[i - 1] !== 'string') result += ' ';
    result += show(arg);
  });
  return result;
}

function verb(letter: string, flags: string, precision: string | undefined, arg: Value): string {
  const wrong = `%!${letter}(${typeName(arg)}=${show(arg)})`;
  switch (letter) {
    case 'v':
      return show(arg);
    case 's': {
      if (typeof arg === 'number' || typeof arg === 'boolean') return wrong;
      const shown = arg === null || arg === undefined ? '%!s(<nil>)' : show(arg);
      return precision === undefined ? shown : Array.from(shown).slice(0, Number(precision)).join('');
    }
    case 'q':
      return typeof arg === 'string'
        ? JSON.stringify(arg)
        : Array.isArray(arg)
          ? `[${arg.map((one) => JSON.stringify(one)).join(' ')}]`
          : wrong;
    case 'd':
      return typeof arg === 'number' && Number.isInteger(arg)
        ? (flags.includes('+') && arg >= 0 ? '+' : '') + show(arg)
        : wrong;
    case 'x':
    case 'X': {
      const hex =
        typeof arg === 'string'
          ? Buffer.from(arg).toString('hex')
          : typeof arg === 'number'
            ? arg.toString(16)
            : wrong;
      return letter === 'X' ? hex.toUpperCase() : hex;
    }
    case 'o':
    case 'b':
      return typeof arg === 'number' ? arg.toString(letter === 'o' ? 8 : 2) : wrong;
    case 'f':
      return typeof arg === 'number' ? arg.toFixed(Number(precision ?? 6)) : wrong;
    case 'g':
    case 'e':
      return typeof arg === 'number' ? show(arg) : wrong;
    case 't':
      return typeof arg === 'boolean' ? String(arg) : wrong;
    case 'c':
      return typeof arg === 'number' ? String.fromCodePoint(arg) : wrong;
    case 'T':
      return typeName(arg);
    default:
      return wrong;
  }
}

function sprintf(format: Value, ...args: Value[]): string {
  let used = 0;
  const result = text(format, 'printf').replace(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+))?(.)/g,
    (_, flags: string, width: string | undefined, precision: string | undefined, letter: string) => {
      if (letter === '%') return '%';
      const columns = width === '*' ? Number(args[used++]) : Number(width ?? 0);
      const digits = precision === '*' ? String(args[used++]) : precision;
      if (used >= args.length) return `%!${letter}(MISSING)`;
      const shown = verb(letter, flags, digits, args[used++]);
      if (flags.includes('-')) return shown.padEnd(columns);
      return flags.includes('0') && /[dxXobf]/.test(letter)
        ? shown.padStart(columns, '0')
        : shown.padStart(columns);
    },
  );
  if (used >= args.length) return result;
  return `${result}%!(EXTRA ${args
    .slice(used)
    .map((arg) => `${typeName(arg)}=${show(arg)}`)
    .join(', ')})`;
}

const htmlEscapes: Record<string, string> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '"': '&#34;',
  "'": '&#39;',
};

/** Go's built-in functions and docker's own. `and` and `or` are evaluated by the executor, lazily. */
export const functions: ReadonlyMap<string, TemplateFunction> = new Map(
  Object.entries({
    and: fn(1, Infinity, (...args) => args.find((arg) => !truth(arg)) ?? args.at(-1)),
    or: fn(1, Infinity, (...args) => args.find(truth) ?? args.at(-1)),
    not: fn(1, 1, (arg) => !truth(arg)),
    len: fn(1, 1, length),
    index: fn(1, Infinity, index),
    slice: fn(1, 4, slice),
    eq: fn(2, Infinity, equal),
    ne: fn(2, 2, (a, b) => !equal(a, b)),
    lt: fn(2, 2, less),
    le: fn(2, 2, (a, b) => less(a, b) || equal(a, b)),
    gt: fn(2, 2, (a, b) => less(b, a)),
    ge: fn(2, 2, (a, b) => less(b, a) || equal(a, b)),
    print: fn(0, Infinity, (...args) => sprint(args)),
    println: fn(0, Infinity, (...args) => `${args.map(show).join(' ')}\n`),
    printf: fn(1, Infinity, sprintf),
    html: fn(0, Infinity, (...args) => sprint(args).replace(/[<>&"']/g, (c) => htmlEscapes[c] ?? c)),
    js: fn(0, Infinity, (...args) =>
      sprint(args).replace(/[\\'"<>&=\n]/g, (c) =>
        c === '\\' || c === "'" || c === '"'
          ? `\\${c}`
          : `\\u${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
      ),
    ),
    urlquery: fn(0, Infinity, (...args) => encodeURIComponent(sprint(args)).replaceAll('%20', '+')),
    call: fn(1, Infinity, (callee) => {
      throw new Error(`non-function of type ${typeName(callee)}`);
    }),
    json: fn(1, 1, (value) => goJson(value)),
    split: fn(2, 2, (value, separator) => text(value, 'split').split(text(separator, 'split'))),
    join: fn(2, 2, (items, separator) => {
      if (!Array.isArray(items))
        throw new Error(`wrong type for value; expected []string; got ${typeName(items)}`);
      return items.map((item) => text(item, 'join')).join(text(separator, 'join'));
    }),
    title: fn(1, 1, (value) =>
      text(value, 'title').replace(
        /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
        (_, before: string, letter: string) => before + letter.toUpperCase(),
      ),
    ),
    lower: fn(1, 1, (value) => text(value, 'lower').toLowerCase()),
    upper: fn(1, 1, (value) => text(value, 'upper').toUpperCase()),
    pad: fn(3, 3, (value, before, after) =>
      value === '' ? '' : ' '.repeat(integer(before)) + text(value, 'pad') + ' '.repeat(integer(after)),
    ),
    truncate: fn(2, 2, (value, size) => text(value, 'truncate').slice(0, integer(size))),
  }),
);
