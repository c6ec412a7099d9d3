import { errorMessage } from '../errors/index.ts';
import type { Exchange } from './exchange.ts';

/**
 * Docker's progress answers: JSON objects, each with CR LF, begun at the first of them. An error before that is an
 * ordinary error answer; afterwards it is the last object.
 */
export class ProgressStream {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  write(message: object): void {
    const { response } = this.#exchange;
    if (response.destroyed) return;
    if (!response.headersSent) this.#exchange.open(200, { 'Content-Type': 'application/json' });
    response.write(`${JSON.stringify(message)}\r\n`);
  }

  /** Runs the work and ends the answer. With `tellsAll` an error is an object of the answer also before any other. */
  async run(work: () => Promise<void>, { tellsAll = false } = {}): Promise<void> {
    const { response } = this.#exchange;
    try {
      await work();
    } catch (error) {
      if (!response.headersSent && !tellsAll) throw error;
      const message = errorMessage(error);
      this.write({ errorDetail: { message }, error: message });
    }
    if (!response.headersSent) this.#exchange.open(200, { 'Content-Type': 'application/json' });
    response.end();
  }
}
