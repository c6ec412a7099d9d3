import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError } from './transport.ts';
import { RegistryError } from './registry-error.ts';

export interface RetryOptions {
  /** Tries in all. Default 5, as Docker's max-download-attempts. */
  attempts?: number;
  /** Wait before the second try; each next one is twice as long. Default 300 ms. */
  firstDelayMs?: number;
  /** Default 15 s. */
  maxDelayMs?: number;
  /** A registry that asks with Retry-After for a longer wait is not asked again. Default 60 s. */
  maxRetryAfterMs?: number;
}

/** Failures that nothing waited for can mend. */
const permanentErrnos = new Set(['EINVAL', 'ELOOP', 'EPROTO', 'ENOTFOUND', 'ECONNREFUSED']);

/** Whether the same request may succeed when tried again. */
export function isTemporary(error: unknown): boolean {
  if (error instanceof RegistryError) return error.isTemporary;
  if (!(error instanceof ConnectionError)) return false;
  return !permanentErrnos.has(error.errno) && !/x509|tls:|HTTP response to HTTPS/.test(error.message);
}

/** Counts the tries of one piece of work and waits between them. */
export class Backoff {
  readonly #options: Required<RetryOptions>;
  #failures = 0;

  constructor(options: RetryOptions = {}) {
    this.#options = {
      attempts: 5,
      firstDelayMs: 300,
      maxDelayMs: 15_000,
      maxRetryAfterMs: 60_000,
      ...options,
    };
  }

  /** Progress was made: what failed before no longer counts. */
  reset(): void {
    this.#failures = 0;
  }

  /**
   * Waits, or throws the error again when it is not temporary or was the last.
   * @param onWait gets the milliseconds
   */
  async failed(
    error: unknown,
    signal: AbortSignal | undefined,
    onWait?: (delayMs: number) => void,
  ): Promise<void> {
    signal?.throwIfAborted();
    this.#failures += 1;
    const { attempts, firstDelayMs, maxDelayMs, maxRetryAfterMs } = this.#options;
    if (!isTemporary(error) || this.#failures >= attempts) throw error;
    const asked = error instanceof RegistryError ? error.retryAfterMs : null;
    if (asked !== null && asked > maxRetryAfterMs) throw error;
    const own = firstDelayMs * 2 ** (this.#failures - 1) * (0.75 + Math.random() / 2);
    const delayMs = asked ?? Math.min(maxDelayMs, own);
    onWait?.(delayMs);
    await sleep(delayMs, undefined, signal === undefined ? {} : { signal });
  }
}

export async function retry<T>(
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
  options?: RetryOptions,
): Promise<T> {
  const backoff = new Backoff(options);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      await backoff.failed(error, signal);
    }
  }
}
