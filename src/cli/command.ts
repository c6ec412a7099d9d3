import type { Cli } from './cli.ts';
import type { Flag, Parsed } from './flags/flags.ts';

/** How many arguments a command takes. */
export interface Arity {
  min: number;
  max: number;
}

export const noArgs: Arity = { min: 0, max: 0 };
export const anyArgs: Arity = { min: 0, max: Infinity };

export function exactArgs(count: number): Arity {
  return { min: count, max: count };
}

export function minArgs(count: number): Arity {
  return { min: count, max: Infinity };
}

export function maxArgs(count: number): Arity {
  return { min: 0, max: count };
}

/** A command: what it takes and what it does. Its module is loaded when the command is called. */
export interface Command {
  /** Everything behind the path: `[OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  synopsis: string;
  flags: readonly Flag[];
  /** False: flags end at the first argument. */
  interspersed?: boolean;
  arity: Arity;
  /** Longer text instead of the summary in help. */
  description?: string;
  /** @returns The exit code; nothing means 0. */
  run: (cli: Cli, parsed: Parsed) => Promise<number | void>;
}

/** An entry of the command tree. */
export interface Leaf {
  kind: 'leaf';
  name: string;
  /** Other names within the same group. */
  aliases?: readonly string[];
  summary: string;
  /** The full paths of the same command, without the program's name: `container run`, `run`. */
  paths?: readonly string[];
  /** Place among the root's common commands. */
  common?: number;
  hidden?: boolean;
  load: () => Promise<Command>;
}

export interface Group {
  kind: 'group';
  name: string;
  summary: string;
  children: readonly Leaf[];
}

export type Node = Leaf | Group;
