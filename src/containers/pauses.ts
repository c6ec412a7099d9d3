export interface Pause {
  readonly over: Promise<void>;
  readonly end: () => void;
}

/**
 * Work that nobody waits for begins a moment later: the answers that are due go out first, and by then the engine mostly
 * waits for the runtime of the next container.
 */
export class Pauses {
  readonly #open = new Set<() => void>();
  readonly #lengthMs: number;

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  begin(): Pause {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      clearTimeout(timer);
      this.#open.delete(end);
      resolve();
    };
    const timer = setTimeout(end, this.#lengthMs);
    this.#open.add(end);
    return { over: promise, end };
  }

  endAll(): void {
    for (const end of this.#open) end();
  }
}
