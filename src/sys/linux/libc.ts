import { openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import type * as Koffi from 'koffi';
import { SyscallError } from '../../errors/index.ts';

let loadedKoffi: typeof Koffi | undefined;
let loadedLibrary: Koffi.LibraryHandle | undefined;

/** koffi, loaded on first use: it costs some ten milliseconds that a program without system calls need not pay. */
export function koffi(): typeof Koffi {
  // Not `import`: that would be loaded with the module graph, or make every system call asynchronous.
  loadedKoffi ??= createRequire(import.meta.url)('koffi') as typeof Koffi;
  return loadedKoffi;
}

/** A function of the C library by its C definition, bound on first call. */
export function libc<F extends (...parameters: never[]) => unknown>(definition: string): F {
  let bound: ((...parameters: unknown[]) => unknown) | undefined;
  const call = (...parameters: unknown[]): unknown => {
    if (bound === undefined) {
      loadedLibrary ??= koffi().load('libc.so.6');
      bound = loadedLibrary.func(definition) as unknown as (...parameters: unknown[]) => unknown;
    }
    return bound(...parameters);
  };
  return call as unknown as F;
}

/**
 * As `libc`, called on another thread: for what can take the kernel long. Buffers are to be left alone meanwhile, and errno
 * is not known here.
 */
export function libcAside<F extends (...parameters: never[]) => unknown>(
  definition: string,
): (...parameters: Parameters<F>) => Promise<ReturnType<F>> {
  let bound: { async: (...parameters: unknown[]) => unknown } | undefined;
  return (...parameters) =>
    new Promise((resolve, reject) => {
      if (bound === undefined) {
        loadedLibrary ??= koffi().load('libc.so.6');
        bound = loadedLibrary.func(definition);
      }
      bound.async(...parameters, (error: unknown, result: ReturnType<F>) => {
        if (error === null || error === undefined) resolve(result);
        else reject(error as Error);
      });
    });
}

/** As `libc`, for a function that older C libraries lack: undefined there. */
export function optionalLibc<F extends (...parameters: never[]) => unknown>(
  definition: string,
): () => F | undefined {
  let found: F | null | undefined;
  return () => {
    if (found === undefined) {
      try {
        loadedLibrary ??= koffi().load('libc.so.6');
        found = loadedLibrary.func(definition) as unknown as F;
      } catch {
        found = null;
      }
    }
    return found ?? undefined;
  };
}

/** System call numbers that differ between the architectures; those above 423 are the same everywhere. */
export const syscallNumber = {
  mknodat: process.arch === 'arm64' ? 33 : 259,
  pidfdSendSignal: 424,
  pidfdOpen: 434,
  openat2: 437,
  pidfdGetfd: 438,
} as const;

/** errno of the last call on this thread. */
export function errno(): number {
  return koffi().errno();
}

const namesOfNumbers = new Map<number, string>();

/** `ENOENT` for 2. */
export function errnoName(number: number): string {
  const name = getSystemErrorMap().get(-number)?.[0];
  if (name !== undefined) return name;
  if (namesOfNumbers.size === 0) {
    for (const [key, value] of Object.entries(constants.errno)) namesOfNumbers.set(value, key);
  }
  return namesOfNumbers.get(number) ?? `errno ${number}`;
}

/** The error of a call that just failed with this errno. */
export function syscallError(syscall: string, number: number, path?: string): SyscallError {
  return new SyscallError(syscall, errnoName(number), path, getSystemErrorMap().get(-number)?.[1]);
}

/** Throws the error of errno when a call answered -1, else passes the answer on. */
export function check(result: number, syscall: string, path?: string): number {
  if (result < 0) throw syscallError(syscall, errno(), path);
  return result;
}

/** A C string ends at the first NUL: text with one inside would name something else than was checked. */
export function cString(text: string, syscall: string): string {
  if (text.includes('\0')) throw new SyscallError(syscall, 'EINVAL', JSON.stringify(text));
  return text;
}

/** Node's open, which sets O_CLOEXEC, failing as the other calls of this room do. */
export function open(path: string, flags: string | number, mode?: number): number {
  try {
    return openSync(path, flags, mode);
  } catch (error) {
    throw syscallError('open', -((error as NodeJS.ErrnoException).errno ?? 0), path);
  }
}
