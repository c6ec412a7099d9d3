/** An answer of the engine with a status of 400 or more. The message is the engine's own text. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(`Error response from daemon: ${message}`);
    this.name = 'ApiError';
    this.status = status;
  }
}

/** The engine could not be reached at all. */
export class ConnectionError extends Error {
  /** Node's code: `ENOENT`, `ECONNREFUSED`, `EACCES`, … */
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ConnectionError';
    this.code = code;
  }
}

/** True for an answer of the engine saying that the thing does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}
