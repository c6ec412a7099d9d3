import { isEngineError, errorMessage, type ErrorKind } from '../errors/index.ts';

/** The HTTP status of each class of failure, as moby's httpstatus maps errdefs; a new kind fails to compile here. */
const statusByKind: Record<ErrorKind, number> = {
  'not-found': 404,
  'invalid-parameter': 400,
  conflict: 409,
  'already-exists': 409,
  unauthorized: 401,
  forbidden: 403,
  unavailable: 503,
  'not-modified': 304,
  'not-implemented': 501,
  'data-loss': 500,
  'deadline-exceeded': 500,
  cancelled: 500,
  internal: 500,
};

export interface ErrorResponse {
  status: number;
  message: string;
}

/** What a client is told about anything thrown by a handler. */
export function errorResponse(error: unknown): ErrorResponse {
  return {
    status: isEngineError(error) ? statusByKind[error.kind] : 500,
    message: errorMessage(error),
  };
}
