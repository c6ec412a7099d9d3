import { EngineError } from '../errors/index.ts';

/** `a=b` entries as an object. @throws {EngineError} `invalid-parameter` */
export function keyValues(entries: readonly string[]): Record<string, string> {
  const result: Record<string, string> = {};
  for (const entry of entries) {
    const equals = entry.indexOf('=');
    if (equals <= 0) throw invalid(`invalid option: ${entry}: must be key=value`);
    result[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  return result;
}

const sizeUnits: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** go-units RAMInBytes: `64m`, `1.5g`, `64MiB`. */
export function parseSize(given: string): number {
  const found = /^(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?$/i.exec(given);
  if (found === null) throw invalid(`invalid size: '${given}'`);
  return Math.floor(Number(found[1]) * (sizeUnits[(found[2] ?? '').toLowerCase()] as number));
}

export function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message, { code: 'bad-option' });
}
