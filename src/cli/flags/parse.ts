import { Parsed, type Flag } from './flags.ts';

/** The command line does not fit the flags; the message is pflag's. */
export class FlagError extends Error {}

/** `--help` or `-h` was asked for. */
export class HelpRequested extends Error {}

/**
 * Parses a command line with pflag's rules: `--name value`, `--name=value`, `-n value`, `-nvalue`, `-abc`, `--` ends the
 * flags. Without `interspersed` the first argument that is no flag ends them too.
 * @throws {FlagError} @throws {HelpRequested}
 */
export function parseFlags(flags: readonly Flag[], argv: readonly string[], interspersed: boolean): Parsed {
  const byName = new Map(flags.map((flag) => [flag.name, flag]));
  const byShort = new Map<string, Flag>();
  for (const flag of flags) if (flag.short) byShort.set(flag.short, flag);
  const values = new Map<string, unknown>(
    flags.map((flag) => [flag.name, flag.repeated ? [] : flag.initial]),
  );
  const changed = new Set<string>();
  const args: string[] = [];

  const set = (flag: Flag, text: string): void => {
    try {
      const value = flag.parse(text);
      if (flag.repeated) (values.get(flag.name) as unknown[]).push(value);
      else values.set(flag.name, value);
    } catch (error) {
      const shown = flag.short ? `-${flag.short}, --${flag.name}` : `--${flag.name}`;
      throw new FlagError(`invalid argument ${quote(text)} for "${shown}" flag: ${(error as Error).message}`);
    }
    changed.add(flag.name);
  };

  let at = 0;
  const long = (argument: string): void => {
    const body = argument.slice(2);
    const equals = body.indexOf('=');
    const name = equals < 0 ? body : body.slice(0, equals);
    if (name === '' || name.startsWith('-')) throw new FlagError(`bad flag syntax: ${argument}`);
    const flag = byName.get(name);
    if (flag === undefined) {
      if (name === 'help') throw new HelpRequested();
      throw new FlagError(`unknown flag: --${name}`);
    }
    if (equals >= 0) set(flag, body.slice(equals + 1));
    else if (flag.bare !== undefined) set(flag, flag.bare);
    else if (at < argv.length) set(flag, argv[at++] ?? '');
    else throw new FlagError(`flag needs an argument: ${argument}`);
  };
  const shorts = (argument: string): void => {
    let rest = argument.slice(1);
    while (rest !== '') {
      const letter = rest.slice(0, 1);
      const flag = byShort.get(letter);
      if (flag === undefined) {
        if (letter === 'h') throw new HelpRequested();
        throw new FlagError(`unknown shorthand flag: '${letter}' in -${rest}`);
      }
      if (rest.length > 2 && rest[1] === '=') {
        set(flag, rest.slice(2));
        return;
      }
      if (flag.bare !== undefined) {
        set(flag, flag.bare);
        rest = rest.slice(1);
        continue;
      }
      if (rest.length > 1) set(flag, rest.slice(1));
      else if (at < argv.length) set(flag, argv[at++] ?? '');
      else throw new FlagError(`flag needs an argument: '${letter}' in -${rest}`);
      return;
    }
  };

  while (at < argv.length) {
    const argument = argv[at++] ?? '';
    if (argument.length < 2 || !argument.startsWith('-')) {
      args.push(argument);
      if (!interspersed) break;
    } else if (argument === '--') break;
    else if (argument.startsWith('--')) long(argument);
    else shorts(argument);
  }
  args.push(...argv.slice(at));
  if (values.get('help') === true) throw new HelpRequested();
  return new Parsed(values, changed, args);
}

/** Go's %q, near enough for what stands on a command line. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/\\u00([0-9a-f]{2})/g, '\\x$1');
}
