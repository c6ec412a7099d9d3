import { EngineError, type ErrorKind } from '../errors/index.ts';
import { parseChallenges } from './challenge.ts';

/** One entry of a registry's `errors`. */
export interface Diagnostic {
  /** `MANIFEST_UNKNOWN` */
  code: string;
  message: string;
}

/** An answer of a registry that is an error; its message is what Docker says for it. */
export class RegistryError extends EngineError {
  /** HTTP status. */
  readonly status: number;
  readonly diagnostics: readonly Diagnostic[];
  /** From Retry-After; null when the registry did not say. */
  readonly retryAfterMs: number | null;

  constructor(
    status: number,
    message: string,
    diagnostics: readonly Diagnostic[] = [],
    retryAfterMs: number | null = null,
  ) {
    super(kindOf(status), message, { code: 'registry-error', details: { status } });
    this.name = 'RegistryError';
    this.status = status;
    this.diagnostics = diagnostics;
    this.retryAfterMs = retryAfterMs;
  }

  /** Worth another try of the same request. */
  get isTemporary(): boolean {
    return this.status === 429 || this.status === 408 || this.status >= 500;
  }
}

function kindOf(status: number): ErrorKind {
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not-found';
  if (status === 429 || status >= 500) return 'unavailable';
  return 'internal';
}

/** Texts of codes that come without a message, as the distribution project defines them. */
const messages: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'authentication required',
  DENIED: 'requested access to the resource is denied',
  UNSUPPORTED: 'The operation is unsupported.',
  UNAVAILABLE: 'service unavailable',
  TOOMANYREQUESTS: 'too many requests',
  MANIFEST_UNKNOWN: 'manifest unknown',
  NAME_UNKNOWN: 'repository name not known to registry',
  BLOB_UNKNOWN: 'blob unknown to registry',
};

/**
 * The error for a response of 400 or more.
 * @param head status line and headers
 * @param body at most a few KiB of it
 */
export function registryError(
  head: { status: number; statusText: string; headers: Readonly<Record<string, unknown>> },
  body: string,
): RegistryError {
  const { status, statusText, headers } = head;
  const retryAfterMs = parseRetryAfter(headers['retry-after']);
  const make = (diagnostics: readonly Diagnostic[]): RegistryError =>
    new RegistryError(status, joined(diagnostics), diagnostics, retryAfterMs);
  if (status >= 500) {
    return new RegistryError(
      status,
      `received unexpected HTTP status: ${status} ${statusText}`,
      [],
      retryAfterMs,
    );
  }
  const found = parseBody(status, body);
  const challenged = challengeError(headers['www-authenticate']);
  if (challenged !== undefined) return make([challenged, ...(typeof found === 'string' ? [] : found)]);
  if (typeof found !== 'string') return make(found);
  if (status === 401) return make([diagnostic('UNAUTHORIZED', '')]);
  return new RegistryError(status, found, [], retryAfterMs);
}

/** What a bearer challenge says is wrong with the token (RFC 6750, section 3). */
function challengeError(header: unknown): Diagnostic | undefined {
  for (const { scheme, parameters } of parseChallenges(header)) {
    if (scheme !== 'bearer') continue;
    const text = parameters['error_description'] ?? '';
    if (parameters['error'] === 'invalid_token') return diagnostic('UNAUTHORIZED', text);
    if (parameters['error'] === 'insufficient_scope') return diagnostic('DENIED', text);
  }
  return undefined;
}

/** The diagnostics of a body, or the text for one that has none. */
function parseBody(status: number, body: string): Diagnostic[] | string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    const first = body.trimStart().charAt(0);
    const why =
      first === ''
        ? 'unexpected end of JSON input'
        : `invalid character '${first}' looking for beginning of value`;
    return `error parsing HTTP ${status} response body: ${why}: ${JSON.stringify(body)}`;
  }
  const { errors, details } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  if (typeof details === 'string' && details !== '') {
    const code = { 401: 'UNAUTHORIZED', 403: 'DENIED', 429: 'TOOMANYREQUESTS' }[status];
    if (code !== undefined) return [diagnostic(code, details)];
  }
  const list = (Array.isArray(errors) ? (errors as unknown[]) : []).flatMap((item) => {
    if (typeof item !== 'object' || item === null) return [];
    const { code, message } = item as Record<string, unknown>;
    return [
      diagnostic(typeof code === 'string' ? code : 'UNKNOWN', typeof message === 'string' ? message : ''),
    ];
  });
  if (list.length > 0) return list;
  return `error parsing HTTP ${status} response body: no error details found in HTTP response body: ${JSON.stringify(body)}`;
}

function diagnostic(code: string, message: string): Diagnostic {
  return { code, message: message === '' ? (messages[code] ?? 'unknown error') : message };
}

function joined(diagnostics: readonly Diagnostic[]): string {
  const lines = diagnostics.map(diagnosticText);
  const unique = [...new Set(lines)];
  return unique.length === 1 ? (unique[0] ?? '') : `errors:\n${unique.join('\n')}\n`;
}

/** `manifest unknown: manifest unknown` */
export function diagnosticText({ code, message }: Diagnostic): string {
  return `${code.toLowerCase().replaceAll('_', ' ')}: ${message}`;
}

/** Seconds or an HTTP date. */
function parseRetryAfter(header: unknown): number | null {
  if (typeof header !== 'string') return null;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now());
}
