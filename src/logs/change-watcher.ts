import { watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';

const POLL_WHEN_WATCHED_MS = 1000;
const POLL_MS = 50;

/** Wakes up when the log at a path is written to or rotated; also every now and then, should an event get lost. */
export class ChangeWatcher implements Disposable {
  #watcher: FSWatcher | undefined;
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(path: string) {
    const name = basename(path);
    try {
      this.#watcher = watch(dirname(path), { persistent: false }, (_, file) => {
        if (file === null || file.startsWith(name)) this.notify();
      });
      this.#watcher.on('error', () => this.#stopWatching());
    } catch {
      // No inotify watch is left for this user, or the directory is not there yet: looking often does too.
    }
  }

  /** Ends the present, or the next, wait. */
  notify(): void {
    this.#changed = true;
    this.#wake?.();
  }

  /** Resolves at the first change since the last wait began, at once when there was one. */
  async changed(): Promise<void> {
    if (!this.#changed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, this.#watcher === undefined ? POLL_MS : POLL_WHEN_WATCHED_MS);
      this.#wake = resolve;
      await promise;
      clearTimeout(timer);
      this.#wake = undefined;
    }
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#stopWatching();
  }

  #stopWatching(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
