import { invalid } from './errors.ts';

/** ctrl-p, ctrl-q */
const defaultKeys = [16, 17];
const controlSymbols: Readonly<Record<string, number>> = {
  '@': 0,
  '[': 27,
  '\\': 28,
  ']': 29,
  '^': 30,
  _: 31,
};

/**
 * Docker's syntax: characters and `ctrl-<character>`, separated by commas.
 * @throws {EngineError} `invalid-parameter`
 */
export function parseDetachKeys(text: string | undefined): readonly number[] {
  if (text === undefined || text === '') return defaultKeys;
  return text.split(',').map((key) => {
    const bytes = Buffer.from(key);
    if (bytes.length === 1) return bytes[0] ?? 0;
    const character = key.startsWith('ctrl-') ? key.slice(5) : '';
    if (/^[a-z]$/.test(character)) return character.charCodeAt(0) - 96;
    const symbol = controlSymbols[character];
    if (symbol === undefined) throw invalid(`Invalid detach keys (${text}) provided`);
    return symbol;
  });
}

/** Finds the key sequence in a terminal's input; a sequence that breaks off is passed on late but whole. */
export class DetachScanner {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** @returns what goes to the container, and whether the client asked to detach (the rest is dropped then). */
  push(chunk: Uint8Array): { data: Buffer; detached: boolean } {
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte !== this.#keys[this.#matched] && this.#matched > 0) {
        out.push(...this.#keys.slice(0, this.#matched));
        this.#matched = 0;
      }
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { data: Buffer.from(out), detached: true };
      } else {
        out.push(byte);
      }
    }
    return { data: Buffer.from(out), detached: false };
  }

  /** What was held back when the input ends. */
  flush(): Buffer {
    const held = Buffer.from(this.#keys.slice(0, this.#matched));
    this.#matched = 0;
    return held;
  }
}
