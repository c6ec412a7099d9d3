import { readFileSync } from 'node:fs';
import { cut } from './csv.ts';
import { errorText } from '../errors.ts';

/** `-e NAME` takes the value from our own environment, when it is set there. */
export function parseEnv(text: string): string {
  const [name, value] = cut(text, '=');
  if (name === '') throw new Error(`invalid environment variable: ${text}`);
  const own = process.env[name];
  return value === undefined && own !== undefined ? `${name}=${own}` : text;
}

/** `--label`. */
export function parseLabel(text: string): string {
  const name = cut(text, '=')[0].replace(/^[ \t]+/, '');
  if (name === '') throw new Error(`invalid label '${text}': empty name`);
  if (/[ \t]/.test(name)) throw new Error(`label '${name}' contains whitespaces`);
  return text;
}

/** Reads `NAME=value` lines; `#` starts a comment line. `NAME` alone is looked up, or left out. */
export function readKeyValueFile(
  path: string,
  lookUp: ((name: string) => string | undefined) | null,
): string[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new Error(errorText(error), { cause: error });
  }
  let content: string;
  try {
    content = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Error(`invalid env file (${path}): invalid utf8 bytes`, { cause: error });
  }
  const lines: string[] = [];
  for (const raw of content.split('\n')) {
    const line = raw.replace(/\r$/, '').trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const [name, value] = cut(line, '=');
    if (name === '') throw new Error(`invalid env file (${path}): no variable name on line '${line}'`);
    if (/[ \t]/.test(name))
      throw new Error(`invalid env file (${path}): variable '${name}' contains whitespaces`);
    if (value !== undefined) lines.push(line);
    else {
      const found = lookUp?.(line);
      if (found !== undefined) lines.push(`${name}=${found}`);
    }
  }
  return lines;
}
