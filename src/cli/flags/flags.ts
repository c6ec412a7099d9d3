/** A flag of a command, as pflag has them. Build one with `bool`, `text`, `list`, … */
export interface Flag {
  name: string;
  short?: string;
  usage: string;
  /** Shown behind the name in help; '' for switches. */
  typeName: string;
  /** Shown as `(default …)`; undefined hides it. */
  shownDefault?: string | undefined;
  /** The value without the flag. */
  initial: unknown;
  /** A flag that may stand without a value has one here. */
  bare?: string;
  repeated: boolean;
  hidden: boolean;
  /** Parses one value. @throws {Error} whose message says what is wrong with it. */
  parse: (value: string) => unknown;
}

export interface FlagOptions<T> {
  short?: string;
  initial?: T;
  hidden?: boolean;
  typeName?: string;
  shownDefault?: string;
  parse?: (value: string) => T;
}

function make(name: string, usage: string, rest: Partial<Flag>): Flag {
  return {
    name,
    usage,
    typeName: 'string',
    initial: '',
    repeated: false,
    hidden: false,
    parse: (value) => value,
    ...rest,
  };
}

const truths = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);

/** Go's strconv.ParseBool. */
export function parseBool(value: string): boolean {
  const truth = truths.get(value);
  if (truth === undefined)
    throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
  return truth;
}

/** Go's strconv.ParseInt with base 0; `bits` bounds the range. */
export function parseInteger(value: string, bits = 64, unsigned = false): number {
  const fail = (why: string): Error =>
    new Error(`strconv.Parse${unsigned ? 'Uint' : 'Int'}: parsing ${JSON.stringify(value)}: ${why}`);
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9][0-9]*)$/.exec(
    value.replace(/(?<=[0-9a-fA-F])_(?=[0-9a-fA-F])/g, ''),
  );
  if (match === null || (unsigned && match[1] !== '')) throw fail('invalid syntax');
  const digits = match[2] ?? '0';
  const magnitude = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
  const number = match[1] === '-' ? -magnitude : magnitude;
  const limit = 1n << BigInt(unsigned ? bits : bits - 1);
  if (number >= limit || number < (unsigned ? 0n : -limit)) throw fail('value out of range');
  return Number(number);
}

/** A switch: `--rm`, `--rm=false`. */
export function bool(name: string, usage: string, options: FlagOptions<boolean> = {}): Flag {
  const initial = options.initial ?? false;
  return make(name, usage, {
    ...options,
    typeName: '',
    initial,
    shownDefault: initial ? 'true' : undefined,
    bare: 'true',
    parse: parseBool,
  });
}

export function text(name: string, usage: string, options: FlagOptions<string> = {}): Flag {
  const initial = options.initial ?? '';
  return make(name, usage, {
    shownDefault: initial === '' ? undefined : JSON.stringify(initial),
    ...options,
    initial,
  });
}

export function int(
  name: string,
  usage: string,
  options: FlagOptions<number> & { bits?: number; unsigned?: boolean } = {},
): Flag {
  const { bits, unsigned, ...rest } = options;
  const initial = options.initial ?? 0;
  return make(name, usage, {
    typeName: 'int',
    shownDefault: initial === 0 ? undefined : String(initial),
    parse: (value) => parseInteger(value, bits, unsigned),
    ...rest,
    initial,
  });
}

/** A flag with a parser of its own, last value wins. */
export function custom<T>(
  name: string,
  typeName: string,
  usage: string,
  parse: (value: string) => T,
  options: FlagOptions<T> = {},
): Flag {
  return make(name, usage, { initial: undefined, ...options, typeName, parse });
}

/** A flag that can be repeated; its value is an array. */
export function list<T = string>(name: string, usage: string, options: FlagOptions<T> = {}): Flag {
  return make(name, usage, { typeName: 'list', ...options, initial: [], repeated: true });
}

/** Flags and arguments of one call. */
export class Parsed {
  readonly #values: Map<string, unknown>;
  readonly #changed: ReadonlySet<string>;
  readonly args: readonly string[];

  constructor(values: Map<string, unknown>, changed: ReadonlySet<string>, args: readonly string[]) {
    this.#values = values;
    this.#changed = changed;
    this.args = args;
  }

  #get(name: string): unknown {
    if (!this.#values.has(name)) throw new Error(`flag accessed but not defined: ${name}`);
    return this.#values.get(name);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** True when the flag was on the command line. */
  changed(name: string): boolean {
    return this.#changed.has(name);
  }

  bool(name: string): boolean {
    return this.#get(name) as boolean;
  }

  text(name: string): string {
    return this.#get(name) as string;
  }

  int(name: string): number {
    return this.#get(name) as number;
  }

  list<T = string>(name: string): T[] {
    return this.#get(name) as T[];
  }

  value<T>(name: string): T {
    return this.#get(name) as T;
  }
}
