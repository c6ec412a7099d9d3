/** A fair mutex for asynchronous code: bodies run one after the other, in the order of the calls. Not reentrant. */
export class AsyncLock {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(body: () => Promise<T> | T): Promise<T> {
    const result = this.#tail.then(body);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
