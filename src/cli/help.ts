import type { Command, Group, Leaf, Node } from './command.ts';
import type { Flag } from './flags/flags.ts';
import { flagUsages } from './flags/usage.ts';
import { program } from './program.ts';

function width(): number {
  return process.stdin.isTTY && process.stdout.columns ? process.stdout.columns : 80;
}

/** `coracle run [OPTIONS] IMAGE [COMMAND] [ARG...]` */
export function useLine(path: string, command: Pick<Command, 'synopsis'>): string {
  return command.synopsis === '' ? path : `${path} ${command.synopsis}`;
}

/** Help of one command. */
export function commandHelp(path: string, leaf: Leaf, command: Command): string {
  let text = `Usage:  ${useLine(path, command)}\n\n${command.description ?? leaf.summary}\n`;
  const aliases = leaf.paths ?? [];
  if (aliases.length > 1) text += `\nAliases:\n  ${aliases.map((one) => `${program} ${one}`).join(', ')}\n`;
  const flags = command.flags.filter((flag) => !flag.hidden);
  if (flags.length > 0) text += `\nOptions:\n${flagUsages(flags, width())}\n`;
  return text;
}

function commandLines(nodes: readonly Node[]): string {
  const column = Math.max(11, ...nodes.map((node) => node.name.length));
  return nodes.map((node) => `  ${node.name.padEnd(column)} ${node.summary}\n`).join('');
}

/** Help of a group of commands. */
export function groupHelp(group: Group): string {
  const children = group.children
    .filter((child) => child.hidden !== true)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return (
    `Usage:  ${program} ${group.name} COMMAND\n\n${group.summary}\n\nCommands:\n${commandLines(children)}` +
    `\nRun '${program} ${group.name} COMMAND --help' for more information on a command.\n`
  );
}

/** Help of the program. */
export function rootHelp(root: readonly Node[], flags: readonly Flag[]): string {
  const byName = (a: Node, b: Node): number => (a.name < b.name ? -1 : 1);
  const leaves = root.filter((node) => node.kind === 'leaf' && node.hidden !== true) as Leaf[];
  const common = leaves
    .filter((leaf) => leaf.common !== undefined)
    .toSorted((a, b) => (a.common ?? 0) - (b.common ?? 0));
  const others = leaves.filter((leaf) => leaf.common === undefined).toSorted(byName);
  const groups = root.filter((node) => node.kind === 'group').toSorted(byName);
  return (
    `Usage:  ${program} [OPTIONS] COMMAND\n\nRuns containers, builds images, speaks Docker\n\n` +
    `Common Commands:\n${commandLines(common)}\nManagement Commands:\n${commandLines(groups)}\nCommands:\n${commandLines(others)}` +
    `\nGlobal Options:\n${flagUsages(flags, width())}\n\nRun '${program} COMMAND --help' for more information on a command.\n`
  );
}
