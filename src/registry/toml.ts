export type TomlValue = string | number | boolean | TomlValue[] | TomlTable;
export interface TomlTable {
  [name: string]: TomlValue;
}

/**
 * Reads the part of TOML 1.0 that configuration files of this kind are written in: tables with bare, dotted and quoted
 * names, strings on one line, integers, booleans, arrays over several lines, inline tables.
 * @throws {Error} with the line number
 */
export function parseToml(text: string): TomlTable {
  return new TomlReader(text).document();
}

const bareKey = /[A-Za-z0-9_-]+/y;
const number = /[+-]?\d[\d_]*(?:\.\d+)?/y;

class TomlReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): TomlTable {
    const root = table();
    let current = root;
    for (;;) {
      this.#blank(true);
      if (this.#at >= this.#text.length) return root;
      if (this.#take('[')) {
        if (this.#text[this.#at] === '[') throw this.#error('arrays of tables are not supported');
        const path = this.#path();
        this.#expect(']');
        current = this.#descend(root, path);
      } else {
        this.#pair(current);
      }
      this.#blank(false);
      if (this.#at < this.#text.length && !this.#take('\n'))
        throw this.#error('a line goes on after its value');
    }
  }

  #pair(target: TomlTable): void {
    const path = this.#path();
    const name = path.pop() ?? '';
    this.#expect('=');
    this.#blank(false);
    const holder = this.#descend(target, path);
    if (Object.hasOwn(holder, name)) throw this.#error(`${name} is given twice`);
    holder[name] = this.#value();
  }

  #descend(from: TomlTable, path: readonly string[]): TomlTable {
    let at = from;
    for (const name of path) {
      const next = (at[name] ??= table());
      if (typeof next !== 'object' || Array.isArray(next)) throw this.#error(`${name} is not a table`);
      at = next;
    }
    return at;
  }

  #path(): string[] {
    const path: string[] = [];
    do {
      this.#blank(false);
      const quote = this.#text[this.#at];
      path.push(quote === '"' || quote === "'" ? this.#string() : this.#match(bareKey, 'a name'));
      this.#blank(false);
    } while (this.#take('.'));
    return path;
  }

  #value(): TomlValue {
    const first = this.#text[this.#at];
    if (first === '"' || first === "'") return this.#string();
    if (this.#take('[')) return this.#array();
    if (this.#take('{')) return this.#inlineTable();
    for (const word of [true, false]) {
      if (this.#text.startsWith(String(word), this.#at)) {
        this.#at += String(word).length;
        return word;
      }
    }
    return Number(this.#match(number, 'a value').replaceAll('_', ''));
  }

  #array(): TomlValue[] {
    const items: TomlValue[] = [];
    for (;;) {
      this.#blank(true);
      if (this.#take(']')) return items;
      items.push(this.#value());
      this.#blank(true);
      if (!this.#take(',') && this.#text[this.#at] !== ']') throw this.#error('an array is not closed');
    }
  }

  #inlineTable(): TomlTable {
    const result = table();
    this.#blank(false);
    if (this.#take('}')) return result;
    for (;;) {
      this.#pair(result);
      this.#blank(false);
      if (this.#take('}')) return result;
      this.#expect(',');
    }
  }

  #string(): string {
    const quote = this.#text[this.#at];
    const start = this.#at + 1;
    let end = start;
    for (; this.#text[end] !== quote; end += 1) {
      if (end >= this.#text.length || this.#text[end] === '\n') throw this.#error('a string is not closed');
      if (quote === '"' && this.#text[end] === '\\') end += 1;
    }
    this.#at = end + 1;
    const raw = this.#text.slice(start, end);
    if (quote === "'") return raw;
    try {
      return JSON.parse(`"${raw.replaceAll('\t', '\\t')}"`) as string;
    } catch {
      throw this.#error('a string has an escape that is not known');
    }
  }

  #match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw this.#error(`${what} is missing`);
    this.#at += found.length;
    return found;
  }

  #blank(lines: boolean): void {
    for (;;) {
      const character = this.#text[this.#at];
      if (character === '#') {
        while (this.#at < this.#text.length && this.#text[this.#at] !== '\n') this.#at += 1;
      } else if (
        character === ' ' ||
        character === '\t' ||
        character === '\r' ||
        (lines && character === '\n')
      ) {
        this.#at += 1;
      } else {
        return;
      }
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #expect(character: string): void {
    this.#blank(false);
    if (!this.#take(character)) throw this.#error(`${character} is missing`);
  }

  #error(why: string): Error {
    return new Error(`line ${this.#text.slice(0, this.#at).split('\n').length}: ${why}`);
  }
}

/** Without a prototype, so that no name in the file can reach one. */
function table(): TomlTable {
  return Object.create(null) as TomlTable;
}
