import type { Cli } from '../cli.ts';
import { StatusError } from '../errors.ts';

/** Ends with all of the messages, one a line, and exit code 1; without any it does nothing. */
export function throwJoined(errors: readonly unknown[]): void {
  if (errors.length === 0) return;
  throw new StatusError(
    1,
    errors.map((error) => (error instanceof Error ? error.message : String(error))).join('\n'),
  );
}

/**
 * Does the same to several things, at most 50 at a time, and prints the name of each that it worked for, in order.
 * Failures are told together at the end.
 */
export async function forEachName(
  cli: Cli,
  names: readonly string[],
  act: (name: string) => Promise<unknown>,
  options: { parallel?: boolean; tolerate?: (error: unknown) => boolean } = {},
): Promise<void> {
  const results: Promise<unknown>[] = [];
  let running = 0;
  const waiting: (() => void)[] = [];
  const limited = async (name: string): Promise<unknown> => {
    if (running >= (options.parallel === false ? 1 : 50))
      await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      return await act(name);
    } finally {
      running--;
      waiting.shift()?.();
    }
  };
  for (const name of names) {
    const result = limited(name);
    result.catch(() => {});
    results.push(result);
  }
  const errors: unknown[] = [];
  for (const [index, result] of results.entries()) {
    try {
      await result;
      cli.out(`${names[index]}\n`);
    } catch (error) {
      if (options.tolerate?.(error)) cli.err(`${(error as Error).message}\n`);
      else errors.push(error);
    }
  }
  throwJoined(errors);
}

/** A name as part of a path. */
export function segment(name: string): string {
  return encodeURIComponent(name);
}
