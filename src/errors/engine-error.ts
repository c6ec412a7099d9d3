/**
 * The classes of failure every room uses: the closed list of containerd's errdefs and moby's errdefs.
 * Rooms below `api` choose a kind, never an HTTP status.
 */
export type ErrorKind =
  | 'not-found'
  | 'invalid-parameter'
  | 'conflict'
  | 'already-exists'
  | 'unauthorized'
  | 'forbidden'
  | 'unavailable'
  | 'not-modified'
  | 'not-implemented'
  | 'data-loss'
  | 'deadline-exceeded'
  | 'cancelled'
  | 'internal';

const brand = Symbol.for('coracle.EngineError');

export interface EngineErrorOptions {
  /** A stable, machine-readable name within the kind, kebab-case; defaults to the kind. */
  code?: string;
  details?: Readonly<Record<string, unknown>>;
  cause?: unknown;
}

/** The one error type that crosses room borders. The message is what a Docker client shows to its user. */
export class EngineError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly [brand] = true;

  constructor(kind: ErrorKind, message: string, options: EngineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EngineError';
    this.kind = kind;
    this.code = options.code ?? kind;
    this.details = options.details ?? {};
  }
}

/** True for an EngineError of any copy of this package. */
export function isEngineError(error: unknown): error is EngineError {
  return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true;
}

/** True for an EngineError of this kind. */
export function isKind(error: unknown, kind: ErrorKind): boolean {
  return isEngineError(error) && error.kind === kind;
}

/** A system call that failed; `errno` is the symbolic name (`ENOENT`). */
export class SyscallError extends EngineError {
  readonly syscall: string;
  readonly errno: string;
  readonly path: string | undefined;

  constructor(syscall: string, errno: string, path?: string, text?: string) {
    super('internal', `${syscall}${path === undefined ? '' : ` ${path}`}: ${text ?? errno}`, {
      code: errno,
      details: { syscall, errno, path },
    });
    this.name = 'SyscallError';
    this.syscall = syscall;
    this.errno = errno;
    this.path = path;
  }
}

/** A helper program that failed; carries the end of what it wrote to standard error. */
export class ProcessError extends EngineError {
  readonly argv: readonly string[];
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stderrTail: string;

  constructor(argv: readonly string[], exitCode: number | null, signal: string | null, stderrTail: string) {
    const how = signal === null ? `exit status ${exitCode}` : `signal ${signal}`;
    super('internal', `${argv[0]}: ${how}${stderrTail === '' ? '' : `: ${stderrTail.trim()}`}`);
    this.name = 'ProcessError';
    this.argv = argv;
    this.exitCode = exitCode;
    this.signal = signal;
    this.stderrTail = stderrTail;
  }
}

/** The text of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
