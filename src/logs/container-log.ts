/** One piece of a container's output: a line with its newline, or a part of a long line without. */
export interface LogEntry {
  stream: 'stdout' | 'stderr';
  timeNs: bigint;
  data: Buffer;
}

export interface LogReadOptions {
  stdout: boolean;
  stderr: boolean;
  /** Lines from the end, across rotated files; undefined for all. */
  tail?: number;
  sinceNs?: bigint;
  untilNs?: bigint;
  /** Go on until `ended` resolves and all has been read. */
  follow: boolean;
  signal?: AbortSignal;
}

/** Reads and rotates the files conmon writes (`<RFC 3339 nano> stdout|stderr F|P <data>`). */
export interface ContainerLogs {
  /** @param path current file; rotated ones are `path.1`, `path.2` … @param ended resolves when the container ended. */
  read(path: string, options: LogReadOptions, ended: () => Promise<unknown>): AsyncIterable<LogEntry[]>;
  /**
   * Renames when larger than `maxSizeBytes`, keeps `maxFiles` in all, then calls `reopen`. No line is lost or doubled.
   * @returns true when it rotated
   */
  rotateIfNeeded(
    path: string,
    limits: { maxSizeBytes: number; maxFiles: number },
    reopen: () => Promise<void>,
  ): Promise<boolean>;
  /** All files of a log. */
  remove(path: string): Promise<void>;
  sizeBytes(path: string): number;
}
