import type { NetworkLosses } from '../sys/index.ts';

/** A restart of a firewall takes away much at once, and our own changes tell of losses, too. */
const DELAY_MS = 50;

/** Gathers what others took from links and the firewall's tables, until it is worth a look. */
export class Repairs {
  readonly #repair: (losses: NetworkLosses) => void;
  #tables = new Set<string>();
  #links = new Set<number>();
  #newLinks = false;
  #unknown = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param repair looks what is really missing; not called twice within 50 ms */
  constructor(repair: (losses: NetworkLosses) => void) {
    this.#repair = repair;
  }

  note({ tables, links, newLinks, unknown }: NetworkLosses): void {
    for (const table of tables) this.#tables.add(table);
    for (const link of links) this.#links.add(link);
    this.#newLinks ||= newLinks;
    this.#unknown ||= unknown;
    this.#timer ??= setTimeout(() => this.#look(), DELAY_MS).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    const [tables, links, newLinks, unknown] = [this.#tables, this.#links, this.#newLinks, this.#unknown];
    this.#tables = new Set();
    this.#links = new Set();
    this.#newLinks = false;
    this.#unknown = false;
    this.#timer = undefined;
    this.#repair({ tables, links, newLinks, unknown });
  }
}
