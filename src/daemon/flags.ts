import { EngineError } from '../errors/index.ts';
import {
  settings,
  type GivenSettings,
  type Setting,
  type SettingFlag,
  type SettingValue,
} from './settings.ts';

const table = (settings as readonly Setting[]).filter(({ isOfFile }) => isOfFile !== true);

/**
 * Reads a command line as Go's pflag does: `--name value`, `--name=value`, `-xvalue`, `-x=value`, `--flag`,
 * `--flag=false`, repeatable lists.
 * @throws {EngineError} `invalid-parameter` with pflag's text
 */
export function parseFlags(argv: readonly string[]): GivenSettings {
  const given = new Map<SettingFlag, SettingValue>();
  const words = [...argv];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '--') {
      if (words.length > 0) throw noArguments();
      break;
    }
    if (!word.startsWith('-') || word === '-') throw noArguments();
    if (word.startsWith('--')) readLong(word, words, given);
    else readShort(word, words, given);
  }
  return given;
}

function readLong(word: string, words: string[], given: Map<SettingFlag, SettingValue>): void {
  const equals = word.indexOf('=');
  const name = word.slice(2, equals < 0 ? undefined : equals);
  const setting = table.find(({ flag }) => flag === name);
  if (setting === undefined) throw invalid(`unknown flag: --${name}`);
  const attached = equals < 0 ? undefined : word.slice(equals + 1);
  put(given, setting, attached ?? take(setting, `flag needs an argument: --${name}`, words));
}

function readShort(word: string, words: string[], given: Map<SettingFlag, SettingValue>): void {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] as string;
    const setting = table.find(({ short }) => short === letter);
    if (setting === undefined) throw invalid(`unknown shorthand flag: '${letter}' in ${word}`);
    const rest = word.slice(at + 1);
    if (setting.kind === 'flag' && !rest.startsWith('=')) {
      put(given, setting, 'true');
      continue;
    }
    const attached = rest === '' ? undefined : rest.replace(/^=/, '');
    put(given, setting, attached ?? take(setting, `flag needs an argument: '${letter}' in ${word}`, words));
    return;
  }
}

function take(setting: Setting, missing: string, words: string[]): string {
  if (setting.kind === 'flag') return 'true';
  const next = words.shift();
  if (next === undefined) throw invalid(missing);
  return next;
}

function put(given: Map<SettingFlag, SettingValue>, setting: Setting, value: string): void {
  const flag = setting.flag as SettingFlag;
  if (setting.kind === 'list' || setting.kind === 'map') {
    const before = given.get(flag);
    given.set(flag, [...(Array.isArray(before) ? (before as string[]) : []), value]);
  } else if (setting.kind === 'flag') given.set(flag, parseBoolean(setting, value));
  else given.set(flag, value);
}

function parseBoolean(setting: Setting, value: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  const short = setting.short === undefined ? '' : `-${setting.short}, `;
  throw invalid(
    `invalid argument ${JSON.stringify(value)} for "${short}--${setting.flag}" flag: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
  );
}

function noArguments(): EngineError {
  return invalid('"coracle daemon" accepts no arguments');
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message, { code: 'bad-flag' });
}
