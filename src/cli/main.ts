import { Cli, type GlobalOptions } from './cli.ts';
import type { Command, Group, Leaf } from './command.ts';
import { StatusError, errorText } from './errors.ts';
import { bool, list, text, type Flag, type Parsed } from './flags/flags.ts';
import { FlagError, HelpRequested, parseFlags } from './flags/parse.ts';
import { err, out } from './output.ts';
import { clientVersion, program } from './program.ts';
import { root } from './tree.ts';

const globalFlags: readonly Flag[] = [
  text('config', 'Directory with the client configuration', { shownDefault: '"~/.docker"' }),
  text('context', 'Context that names the engine to talk to (wins over the host variables)', { short: 'c' }),
  bool('debug', 'Print what the client does', { short: 'D' }),
  list('host', 'Address of the engine: unix://PATH or tcp://HOST:PORT', { short: 'H' }),
  text('log-level', 'Least important level of messages that is printed: debug, info, warn, error, fatal', {
    short: 'l',
    initial: 'info',
  }),
  bool('tls', 'Speak TLS'),
  text('tlscacert', 'Certificate authority that the engine must be signed by'),
  text('tlscert', 'Our TLS certificate'),
  text('tlskey', 'Key of our TLS certificate'),
  bool('tlsverify', 'Speak TLS and check the engine’s certificate'),
  bool('version', 'Print the version and exit', { short: 'v' }),
];

function globalOptions(parsed: Parsed): GlobalOptions {
  const hosts = parsed.list('host');
  if (hosts.length > 1) throw new StatusError(1, 'specify only one -H');
  const tls: NonNullable<GlobalOptions['tls']> = {
    enabled: parsed.bool('tls') || parsed.bool('tlsverify'),
    verify: parsed.bool('tlsverify'),
  };
  if (parsed.text('tlscacert')) tls.ca = parsed.text('tlscacert');
  if (parsed.text('tlscert')) tls.cert = parsed.text('tlscert');
  if (parsed.text('tlskey')) tls.key = parsed.text('tlskey');
  return {
    host: hosts[0],
    context: parsed.text('context') || undefined,
    config: parsed.text('config') || undefined,
    debug: parsed.bool('debug'),
    tls: tls.enabled ? tls : undefined,
  };
}

/** Finds the command that the words name. */
function find(
  words: readonly string[],
): { node: Leaf | Group; path: string; rest: readonly string[] } | null {
  const top = root.find((node) => node.name === words[0]);
  if (top === undefined) return null;
  const path = `${program} ${top.name}`;
  if (top.kind === 'leaf') return { node: top, path, rest: words.slice(1) };
  const child = top.children.find((leaf) => leaf.name === words[1] || leaf.aliases?.includes(words[1] ?? ''));
  if (child === undefined) return { node: top, path, rest: words.slice(1) };
  return { node: child, path: `${path} ${child.name}`, rest: words.slice(2) };
}

function checkArity(path: string, command: Command, count: number): void {
  const { min, max } = command.arity;
  if (count >= min && count <= max) return;
  const plural = (n: number): string => `${n} argument${n === 1 ? '' : 's'}`;
  let demand: string;
  if (max === 0) demand = 'accepts no arguments';
  else if (min === max) demand = `requires ${plural(min)}`;
  else if (max === Infinity) demand = `requires at least ${plural(min)}`;
  else if (min === 0) demand = `requires at most ${plural(max)}`;
  else demand = `requires at least ${min} and at most ${plural(max)}`;
  // Docker's own texts differ in this one word.
  const verb = max === Infinity ? 'See' : max > min && min === 0 ? 'SRun' : 'Run';
  throw new StatusError(
    1,
    `${program}: '${path}' ${demand}\n\nUsage:  ${path} ${command.synopsis}\n\n${verb} '${path} --help' for more information`,
  );
}

async function runLeaf(cli: Cli, leaf: Leaf, path: string, argv: readonly string[]): Promise<number> {
  const command = await leaf.load();
  let parsed: Parsed;
  try {
    parsed = parseFlags(command.flags, argv, command.interspersed ?? true);
  } catch (error) {
    if (error instanceof HelpRequested) {
      const { commandHelp } = await import('./help.ts');
      out(commandHelp(path, leaf, command));
      return 0;
    }
    if (!(error instanceof FlagError)) throw error;
    const usage = command.synopsis === '' ? path : `${path} ${command.synopsis}`;
    throw new StatusError(
      125,
      `${error.message}\n\nUsage:  ${usage}\n\nRun '${path} --help' for more information`,
    );
  }
  checkArity(path, command, parsed.args.length);
  return (await command.run(cli, parsed)) ?? 0;
}

/** `help` and `--help` of the words that follow. */
async function help(words: readonly string[]): Promise<number> {
  const { commandHelp, groupHelp, rootHelp } = await import('./help.ts');
  if (words.length === 0) {
    out(rootHelp(root, globalFlags));
    return 0;
  }
  const found = find(words);
  if (found === null || found.rest.length > 0)
    throw new StatusError(1, `unknown help topic: ${words.join(' ')}`);
  out(
    found.node.kind === 'group'
      ? groupHelp(found.node)
      : commandHelp(found.path, found.node, await found.node.load()),
  );
  return 0;
}

async function dispatch(argv: readonly string[]): Promise<number> {
  let parsed: Parsed;
  try {
    parsed = parseFlags(globalFlags, argv, false);
  } catch (error) {
    if (error instanceof HelpRequested) return help([]);
    if (!(error instanceof FlagError)) throw error;
    throw new StatusError(
      125,
      `${error.message}\n\nUsage:  ${program} [OPTIONS] COMMAND [ARG...]\n\nRun '${program} --help' for more information`,
    );
  }
  const words = parsed.args;
  if (parsed.bool('version')) {
    out(`Coracle version ${clientVersion}\n`);
    return 0;
  }
  if (words.length === 0) return help([]);
  if (words[0] === 'help') return help(words.slice(1));
  if (words[0] === 'daemon') {
    const { execDaemon } = await import('./daemon-start.ts');
    return execDaemon(words.slice(1));
  }
  const found = find(words);
  if (found === null) {
    throw new StatusError(
      1,
      `${program}: unknown command: ${program} ${words[0]}\n\nRun '${program} --help' for more information`,
    );
  }
  const { node, path, rest } = found;
  if (node.kind === 'group') {
    const word = rest[0];
    if (word === undefined) {
      const { groupHelp } = await import('./help.ts');
      err(groupHelp(node));
      return 0;
    }
    if (word === '--help' || word === '-h') return help([node.name]);
    if (word.startsWith('-')) {
      const message = word.startsWith('--')
        ? `unknown flag: ${word}`
        : `unknown shorthand flag: '${word[1]}' in ${word}`;
      throw new StatusError(
        125,
        `${message}\n\nUsage:  ${path}\n\nRun '${path} --help' for more information`,
      );
    }
    throw new StatusError(
      1,
      `${program}: unknown command: ${path} ${word}\n\nUsage:  ${path}\n\nRun '${path} --help' for more information`,
    );
  }
  return runLeaf(new Cli(process.env, globalOptions(parsed)), node, path, rest);
}

async function main(): Promise<void> {
  let code: number;
  try {
    code = await dispatch(process.argv.slice(2));
  } catch (error) {
    const message = errorText(error);
    if (message !== '') err(`${message}\n`);
    if (process.env['CORACLE_TRACE'] && error instanceof Error && !(error instanceof StatusError))
      err(`${error.stack}\n`);
    code = error instanceof StatusError ? error.exitCode : 1;
  }
  // Whatever is still open (standard input, an attach whose container is gone) must not keep us.
  process.exit(code);
}

void main();
