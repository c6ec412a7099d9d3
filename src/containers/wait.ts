import type { ContainerEntry, Waiter } from './entry.ts';
import type { WaitCondition } from './containers.ts';

export interface ContainerWait {
  result: Promise<{ exitCode: number; error?: string }>;
  cancel(): void;
}

/** Answers when the condition holds; `not-running` at once when it holds already. @see moby container/state.go */
export function waitFor(entry: ContainerEntry, condition: WaitCondition): ContainerWait {
  const { state } = entry.record;
  if ((condition === 'not-running' && !entry.running) || entry.removed) {
    const { exitCode, error } = state;
    return {
      result: Promise.resolve(error === '' ? { exitCode } : { exitCode, error }),
      cancel: () => undefined,
    };
  }
  const { promise, resolve } = Promise.withResolvers<{ exitCode: number; error?: string }>();
  const waiter: Waiter = { condition, settle: resolve };
  entry.waiters.add(waiter);
  return { result: promise, cancel: () => void entry.waiters.delete(waiter) };
}

/** @returns false when the time is over first. */
export async function waitStopped(entry: ContainerEntry, timeoutMs: number | null): Promise<boolean> {
  if (!entry.running) return true;
  const wait = waitFor(entry, 'not-running');
  if (timeoutMs === null) {
    await wait.result;
    return true;
  }
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), timeoutMs);
  try {
    return await Promise.race([wait.result.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
    wait.cancel();
  }
}
