import type { AttachSession } from '../../containers/index.ts';
import { EngineError, errorMessage, isEngineError, type ErrorKind } from '../../errors/index.ts';

/** What cannot be written as JSON, and stays where it is: the other side gets one that speaks for it. */
export interface Live {
  function: (...args: unknown[]) => unknown;
  promise: Promise<unknown>;
  signal: AbortSignal;
  stream: AsyncIterable<unknown>;
  session: AttachSession;
}
export type LiveKind = keyof Live;

export type ExportLive = <K extends LiveKind>(kind: K, value: Live[K]) => number;
export type ImportLive = <K extends LiveKind>(kind: K, reference: number) => Live[K];

/** A value as JSON has it; what JSON does not have is an object with one key that begins with `$`. */
export function encode(value: unknown, live: ExportLive): unknown {
  if (value === undefined) return { $undefined: true };
  if (typeof value === 'bigint') return { $bigint: String(value) };
  if (typeof value === 'function') return { $function: live('function', value as Live['function']) };
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => encode(item, live));
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (value instanceof Map) return { $map: [...value].map((entry) => encode(entry, live)) };
  if (value instanceof Error) return { $error: encodeError(value) };
  if (value instanceof Promise) return { $promise: live('promise', value) };
  if (value instanceof AbortSignal) return { $signal: live('signal', value) };
  if (Symbol.asyncIterator in value) return { $stream: live('stream', value as AsyncIterable<unknown>) };
  if ('begin' in value && 'writeInput' in value) {
    const session = value as AttachSession;
    return { $session: live('session', session), tty: session.tty };
  }
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]): [string, unknown] => [key, encode(item, live)]);
  return entries.some(([key]) => key.startsWith('$')) ? { $object: entries } : Object.fromEntries(entries);
}

/** The reverse of encode(). */
export function decode(value: unknown, live: ImportLive): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => decode(item, live));
  const entries = Object.entries(value);
  const [tag, content] = entries[0] ?? ['', undefined];
  switch (tag) {
    case '$undefined':
      return undefined;
    case '$bigint':
      return BigInt(content as string);
    case '$bytes':
      return Buffer.from(content as string, 'base64');
    case '$map':
      return new Map((content as unknown[]).map((entry) => decode(entry, live) as [unknown, unknown]));
    case '$error':
      return decodeError(content as EncodedError);
    case '$function':
    case '$promise':
    case '$signal':
    case '$stream':
      return live(tag.slice(1) as LiveKind, content as number);
    case '$session':
      return Object.assign(live('session', content as number), { tty: (value as { tty: boolean }).tty });
    case '$object':
      return Object.fromEntries(
        (content as [string, unknown][]).map(([key, item]) => [key, decode(item, live)]),
      );
    default:
      return Object.fromEntries(entries.map(([key, item]) => [key, decode(item, live)]));
  }
}

export interface EncodedError {
  kind: ErrorKind;
  code: string;
  message: string;
  details: Readonly<Record<string, unknown>>;
}

/** Any error as one of the engine's: whatever is none is `internal`. */
export function encodeError(error: unknown): EncodedError {
  if (!isEngineError(error)) {
    const isAbort = error instanceof Error && error.name === 'AbortError';
    const kind = isAbort ? 'cancelled' : 'internal';
    return { kind, code: kind, message: errorMessage(error), details: {} };
  }
  const { kind, code, message, details } = error;
  // Details may hold anything; what JSON cannot say is left out.
  return { kind, code, message, details: JSON.parse(JSON.stringify(details)) as EncodedError['details'] };
}

export function decodeError({ kind, code, message, details }: EncodedError): EngineError {
  return new EngineError(kind, message, { code, details });
}
