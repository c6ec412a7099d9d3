/**
 * Durable records in one SQLite database (WAL, synchronous=NORMAL: a crash of the engine loses nothing, a power cut at
 * most the last moments, and never consistency). Values are JSON documents. Calls are synchronous, some 20 µs each.
 */
export interface Records extends Disposable {
  collection<T>(name: string): RecordCollection<T>;
  /** All or nothing; nested calls join. */
  transaction<T>(body: () => T): T;
  /** Forces what was written to disk (after an image is committed, say). */
  checkpoint(): void;
}

export interface RecordCollection<T> {
  get(key: string): T | undefined;
  put(key: string, value: T): void;
  delete(key: string): void;
  entries(): [key: string, value: T][];
}
