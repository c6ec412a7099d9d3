import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { EngineError, errorMessage } from '../errors/index.ts';
import type { RecordCollection, Records } from './records.ts';

const schemaVersion = 1;

/**
 * Opens (and creates) the database. One process at a time: the caller holds the root's lock.
 * @throws {EngineError} `data-loss` when the file is damaged, `unavailable` when it was written by a newer engine
 */
export function openRecords(path: string): Records {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(path);
    database.exec(
      // First of all how long to wait: the program that answers names between two engines reads it for a moment.
      'PRAGMA busy_timeout=2000; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;',
    );
    const version = (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
    if (version > schemaVersion) {
      database.close();
      throw new EngineError(
        'unavailable',
        `Cannot open ${path}: written by a newer engine (schema ${version})`,
      );
    }
    database.exec(
      'CREATE TABLE IF NOT EXISTS records (collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, ' +
        `PRIMARY KEY (collection, key)) WITHOUT ROWID, STRICT; PRAGMA user_version=${schemaVersion};`,
    );
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError('data-loss', `Cannot open ${path}: ${errorMessage(error)}`, { cause: error });
  }
  return new SqliteRecords(database);
}

/** Records that live as long as the object; for tests. */
export function memoryRecords(): Records {
  return openRecords(':memory:');
}

class SqliteRecords implements Records {
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #entries: StatementSync;
  #depth = 0;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#get = database.prepare('SELECT value FROM records WHERE collection = ? AND key = ?');
    this.#put = database.prepare('INSERT OR REPLACE INTO records (collection, key, value) VALUES (?, ?, ?)');
    this.#delete = database.prepare('DELETE FROM records WHERE collection = ? AND key = ?');
    this.#entries = database.prepare('SELECT key, value FROM records WHERE collection = ? ORDER BY key');
  }

  collection<T>(name: string): RecordCollection<T> {
    return {
      get: (key) => {
        const row = this.#get.get(name, key) as { value: string } | undefined;
        return row === undefined ? undefined : (JSON.parse(row.value) as T);
      },
      put: (key, value) => void this.#put.run(name, key, JSON.stringify(value)),
      delete: (key) => void this.#delete.run(name, key),
      entries: () =>
        (this.#entries.all(name) as { key: string; value: string }[]).map((row) => [
          row.key,
          JSON.parse(row.value) as T,
        ]),
    };
  }

  transaction<T>(body: () => T): T {
    if (this.#depth > 0) return body();
    this.#database.exec('BEGIN IMMEDIATE');
    this.#depth++;
    try {
      const result = body();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    } finally {
      this.#depth--;
    }
  }

  checkpoint(): void {
    this.#database.exec('PRAGMA wal_checkpoint(FULL)');
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
