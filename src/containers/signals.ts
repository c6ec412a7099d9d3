import { constants } from 'node:os';
import { invalid } from './errors.ts';

const realTimeMin = 34;
const realTimeMax = 64;

/**
 * A signal's number from `9`, `KILL`, `SIGKILL` or `RTMIN+3`.
 * @throws {EngineError} `invalid-parameter` "Invalid signal: x"
 */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number < 1 || number > realTimeMax) throw invalid(`Invalid signal: ${text}`);
    return number;
  }
  const name = text.toUpperCase().replace(/^SIG/, '');
  const known = (constants.signals as Record<string, number | undefined>)[`SIG${name}`];
  if (known !== undefined) return known;
  const realTime = /^RT(MIN(?:\+(\d+))?|MAX(?:-(\d+))?)$/.exec(name);
  if (realTime !== null) {
    const number = name.startsWith('RTMIN')
      ? realTimeMin + Number(realTime[2] ?? 0)
      : realTimeMax - Number(realTime[3] ?? 0);
    if (number >= realTimeMin && number <= realTimeMax) return number;
  }
  throw invalid(`Invalid signal: ${text}`);
}

export const signals = { kill: 9, term: 15, cont: 18 } as const;
