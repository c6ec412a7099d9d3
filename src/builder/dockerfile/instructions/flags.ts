/** What flags an instruction knows: with one value, repeated, or a switch. */
export type FlagTypes = Readonly<Record<string, 'text' | 'list' | 'switch'>>;

/** The flags of one instruction, checked. */
export class Flags {
  readonly #values = new Map<string, string[]>();

  /** @throws {Error} with Docker's text */
  constructor(words: readonly string[], types: FlagTypes) {
    for (const word of words) {
      const equals = word.indexOf('=');
      const name = equals === -1 ? word.slice(2) : word.slice(2, equals);
      const type = Object.hasOwn(types, name) ? types[name] : undefined;
      if (type === undefined) throw new Error(`Unknown flag: ${name}`);
      if (type !== 'switch' && equals === -1) throw new Error(`Missing a value on flag: ${name}`);
      const values = this.#values.get(name) ?? [];
      if (values.length > 0 && type !== 'list') throw new Error(`Duplicate flag specified: ${name}`);
      let value = equals === -1 ? 'true' : word.slice(equals + 1);
      if (type === 'switch') {
        value = value.toLowerCase();
        if (value !== 'true' && value !== 'false') {
          throw new Error(`Expecting boolean value for flag ${name}, not: ${value}`);
        }
      }
      this.#values.set(name, [...values, value]);
    }
  }

  text(name: string): string {
    return this.#values.get(name)?.[0] ?? '';
  }

  list(name: string): string[] {
    return this.#values.get(name) ?? [];
  }

  isSet(name: string): boolean {
    return this.text(name) === 'true';
  }

  /** Undefined when it was not given. */
  maybe(name: string): boolean | undefined {
    return this.#values.has(name) ? this.isSet(name) : undefined;
  }
}
