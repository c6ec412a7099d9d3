const names = new Map<string, number>([
  ['ctrl-@', 0],
  ['ctrl-[', 27],
  ['ctrl-\\', 28],
  ['ctrl-]', 29],
  ['ctrl-^', 30],
  ['ctrl-_', 31],
  ['DEL', 127],
]);

/** Parses `ctrl-p,ctrl-q` or `a,b` as the bytes they stand for. @throws for a key that does not exist. */
export function parseDetachKeys(text: string): number[] {
  return text.split(',').map((key) => {
    const control = /^ctrl-([a-z])$/.exec(key)?.[1];
    if (control !== undefined) return control.charCodeAt(0) - 96;
    const named = names.get(key);
    if (named !== undefined) return named;
    if (key.length === 1) return key.charCodeAt(0);
    throw new Error(`Unknown character: '${key}'`);
  });
}

/** Watches what is typed for the detach sequence. Keys that could be its start are held back until that is decided. */
export class DetachWatch {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** @returns What to send on, and whether the sequence is complete. */
  push(input: Buffer): { forward: Buffer; detached: boolean } {
    const forward: number[] = [];
    for (const byte of input) {
      if (byte !== this.#keys[this.#matched]) {
        forward.push(...this.#keys.slice(0, this.#matched));
        this.#matched = 0;
      }
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { forward: Buffer.from(forward), detached: true };
      } else forward.push(byte);
    }
    return { forward: Buffer.from(forward), detached: false };
  }
}
