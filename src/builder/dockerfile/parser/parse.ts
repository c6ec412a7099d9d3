import { EngineError } from '../../../errors/index.ts';
import { dockerfileError } from '../errors.ts';
import { readDirective, type Directives } from './directives.ts';
import { heredocsOf, type Heredoc, type HeredocStart } from './heredoc.ts';

/** One instruction of a Dockerfile as it stands there, not yet understood. */
export interface Node {
  /** Lower case: `run`. */
  name: string;
  /** The same as written. */
  keyword: string;
  /** Comments in the lines right above, without `#`. */
  comments: string[];
  /** `--name=value` words in front of the arguments. */
  flags: string[];
  /** What follows the flags. */
  rest: string;
  /** The whole instruction, continuation lines joined. */
  original: string;
  heredocs: Heredoc[];
  /** Lines of the file, from 1. */
  startLine: number;
  endLine: number;
}

export interface ParsedDockerfile {
  nodes: Node[];
  escape: '\\' | '`';
  /** Value of `# syntax=`; served by this front end whatever it says. */
  syntax: string | undefined;
  /** Value of `# check=`, '' for none. */
  check: string;
  /** Last lines of instructions with empty lines in them. */
  emptyContinuations: number[];
  /** Texts for the user, e.g. about empty continuation lines. */
  warnings: string[];
}

/** Longer ones are refused, as by BuildKit's reader. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/**
 * Splits a Dockerfile into instructions.
 * @param name as the user gave it, for messages
 * @throws {EngineError} `invalid-parameter` with Docker's text
 */
export function parseDockerfile(text: string, name = 'Dockerfile'): ParsedDockerfile {
  if (text.trim() === '')
    throw new EngineError('invalid-parameter', `the Dockerfile (${name}) cannot be empty`);
  const reader = new LineReader(text);
  const directives: Directives = { escape: '\\', syntax: undefined, check: '' };
  const nodes: Node[] = [];
  const emptyContinuations: string[] = [];
  const emptyLines: number[] = [];
  let comments: string[] = [];
  let directivesOpen = true;
  const seen = new Set<string>();
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    if (directivesOpen) directivesOpen = readDirective(line, directives, seen);
    const trimmed = line.trimStart();
    if (trimmed === '') comments = [];
    else if (trimmed.startsWith('#') && !directivesOpen) comments.push(trimmed.slice(1).trim());
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const startLine = reader.line;
    const { text: joined, hasEmptyLine } = joinContinuations(trimmed, reader, directives.escape);
    if (joined.trim() === '') continue;
    const node = splitInstruction(joined, directives.escape, startLine);
    node.comments = comments;
    comments = [];
    if (hasEmptyLine) emptyLines.push(reader.line);
    if (['run', 'copy', 'add'].includes(node.name)) {
      node.heredocs = heredocsOf(joined).map((start) => readHeredoc(start, reader, startLine));
    }
    node.endLine = reader.line;
    nodes.push(node);
    if (hasEmptyLine) emptyContinuations.push(joined);
  }
  if (nodes.length === 0) throw dockerfileError('file with no instructions');
  return {
    nodes,
    escape: directives.escape,
    syntax: directives.syntax,
    check: directives.check,
    emptyContinuations: emptyLines,
    warnings: emptyContinuations.map(
      (joined) =>
        `[WARNING]: Empty continuation line found in:\n    ${joined}\n` +
        '[WARNING]: Empty continuation lines will become errors in a future release.\n',
    ),
  };
}

class LineReader {
  readonly #lines: string[];
  #next = 0;

  constructor(text: string) {
    this.#lines = text.replace(/^\ufeff/, '').split('\n');
    // What ends with a newline has no further line.
    if (this.#lines.at(-1) === '') this.#lines.pop();
  }

  /** Number of the line last read, from 1. */
  get line(): number {
    return this.#next;
  }

  next(): string | undefined {
    const line = this.#lines[this.#next];
    if (line === undefined) return undefined;
    this.#next += 1;
    if (line.length > MAX_LINE_BYTES) {
      throw dockerfileError(`line greater than max allowed size of ${MAX_LINE_BYTES}`);
    }
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  }
}

function joinContinuations(
  first: string,
  reader: LineReader,
  escape: string,
): { text: string; hasEmptyLine: boolean } {
  let { text, continues } = cutContinuation(first, escape);
  // Pieces are joined once: repeated concatenation of a hostile file would be slow.
  const pieces = [text];
  let hasEmptyLine = false;
  while (continues) {
    const line = reader.next();
    if (line === undefined) break;
    const trimmed = line.trimStart();
    if (trimmed.startsWith('#')) continue;
    if (trimmed === '') {
      hasEmptyLine = true;
      continue;
    }
    ({ text, continues } = cutContinuation(line, escape));
    pieces.push(text);
  }
  return { text: pieces.join(''), hasEmptyLine };
}

/** An escape character at the end of the line, itself not escaped, continues it. */
function cutContinuation(line: string, escape: string): { text: string; continues: boolean } {
  // By hand: a regular expression takes quadratic time for a line of many blanks.
  let length = line.length;
  while (length > 0 && ' \t'.includes(line.charAt(length - 1))) length -= 1;
  const end = line.slice(0, length);
  if (!end.endsWith(escape) || end.at(-2) === escape) return { text: line, continues: false };
  return { text: end.slice(0, -1), continues: true };
}

function splitInstruction(joined: string, escape: string, startLine: number): Node {
  const original = joined.trim();
  const [, word = '', after = ''] = /^(\S+)\s*([^]*)$/.exec(original) ?? [];
  const { flags, rest } = takeFlags(after, escape);
  return {
    name: word.toLowerCase(),
    keyword: word,
    comments: [],
    flags,
    rest: rest.trim(),
    original,
    heredocs: [],
    startLine,
    endLine: startLine,
  };
}

/** Words that begin with `--`, up to the first that does not or to a bare `--`; quotes and escapes group. */
function takeFlags(text: string, escape: string): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (isBlank(text.charAt(at))) at += 1;
    if (!text.startsWith('--', at)) return { flags, rest: text.slice(at) };
    let word = '';
    let quote = '';
    for (; at < text.length; at += 1) {
      const character = text.charAt(at);
      if (quote === '' && isBlank(character)) break;
      if (character === quote) quote = '';
      else if (quote === '' && (character === "'" || character === '"')) quote = character;
      else if (character === escape && quote !== "'" && at + 1 < text.length) {
        at += 1;
        word += text.charAt(at);
      } else word += character;
    }
    if (word === '--') return { flags, rest: text.slice(at) };
    flags.push(word);
  }
}

function isBlank(character: string): boolean {
  return character !== '' && /\s/.test(character);
}

function readHeredoc(start: HeredocStart, reader: LineReader, startLine: number): Heredoc {
  const lines: string[] = [];
  for (;;) {
    const line = reader.next();
    if (line === undefined) throw dockerfileError('unterminated heredoc', startLine);
    const stripped = start.chomp ? line.replace(/^\t+/, '') : line;
    if (stripped === start.name) break;
    lines.push(`${stripped}\n`);
  }
  return { ...start, content: lines.join('') };
}
