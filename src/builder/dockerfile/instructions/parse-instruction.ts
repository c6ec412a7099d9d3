import { DockerfileError, dockerfileError } from '../errors.ts';
import { locate, type LineRange } from '../location.ts';
import { heredocOf } from '../parser/heredoc.ts';
import { parseDockerfile, type Node } from '../parser/parse.ts';
import { jsonWords, splitWords } from '../parser/words.ts';
import { Flags, type FlagTypes } from './flags.ts';
import { healthcheckFlags, parseHealthcheck } from './healthcheck.ts';
import type { CommandLine, CopyInstruction, Instruction, RunDevice } from './instruction.ts';

/** A failure that Docker reports without a line: it is found while splitting, before instructions are looked at. */
class SplitError extends Error {}

interface Reader {
  node: Node;
  escape: '\\' | '`';
  flags: Flags;
}

const noFlags: FlagTypes = {};
const copyFlags: FlagTypes = {
  from: 'text',
  chown: 'text',
  chmod: 'text',
  link: 'switch',
  parents: 'switch',
  exclude: 'list',
};
const addFlags: FlagTypes = {
  chown: 'text',
  chmod: 'text',
  link: 'switch',
  exclude: 'list',
  checksum: 'text',
  unpack: 'switch',
  'keep-git-dir': 'switch',
};
const runFlags: FlagTypes = { mount: 'list', network: 'text', security: 'text', device: 'list' };

const flagTypes: Readonly<Record<string, FlagTypes>> = {
  copy: copyFlags,
  add: addFlags,
  run: runFlags,
  healthcheck: healthcheckFlags,
  from: { platform: 'text' },
};

type Parse = (reader: Reader) => Instruction;

/** Instructions of a stage; FROM is not one. */
const parsers: Readonly<Record<string, Parse>> = {
  env: (reader) => ({ ...common(reader), kind: 'env', ...pairs(reader) }),
  label: (reader) => ({ ...common(reader), kind: 'label', ...pairs(reader) }),
  arg: (reader) => ({ ...common(reader), kind: 'arg', pairs: argPairs(reader) }),
  cmd: (reader) => ({ ...common(reader), kind: 'cmd', command: commandLine(reader) }),
  entrypoint: (reader) => ({ ...common(reader), kind: 'entrypoint', command: commandLine(reader) }),
  expose: (reader) => {
    const words = reader.node.rest.split(/\s+/).filter((word) => word !== '');
    if (words.length === 0) throw new Error('EXPOSE requires at least one argument');
    return { ...common(reader), kind: 'expose', words };
  },
  volume: (reader) => {
    const words = listOrWords(reader);
    if (words.length === 0) throw new Error('VOLUME requires at least one argument');
    if (words.some((word) => word.trim() === ''))
      throw new Error('VOLUME specified can not be an empty string');
    return { ...common(reader), kind: 'volume', words };
  },
  user: (reader) => ({ ...common(reader), kind: 'user', value: oneValue(reader) }),
  workdir: (reader) => ({ ...common(reader), kind: 'workdir', value: oneValue(reader) }),
  stopsignal: (reader) => ({ ...common(reader), kind: 'stopsignal', value: oneValue(reader) }),
  maintainer: (reader) => ({ ...common(reader), kind: 'maintainer', value: oneValue(reader) }),
  shell: (reader) => {
    const words = json(reader.node.rest);
    if (words === undefined) throw new Error('SHELL requires the arguments to be in JSON form');
    if (words.length === 0) throw new Error('SHELL requires at least one argument');
    return { ...common(reader), kind: 'shell', words };
  },
  healthcheck: (reader) => ({
    ...common(reader),
    kind: 'healthcheck',
    check: parseHealthcheck(reader.node.rest, reader.flags),
  }),
  onbuild: (reader) => ({ ...common(reader), kind: 'onbuild', trigger: trigger(reader) }),
  run: (reader) => {
    const { flags, node } = reader;
    const security = flags.text('security') || 'sandbox';
    if (!['sandbox', 'insecure'].includes(security)) {
      throw new Error(`security mode ${JSON.stringify(security)} is not valid`);
    }
    const network = flags.text('network') || 'default';
    if (!['default', 'none', 'host'].includes(network)) {
      throw new Error(`invalid network mode ${JSON.stringify(network)} for RUN`);
    }
    return {
      ...common(reader),
      kind: 'run',
      command: commandLine(reader),
      heredocs: node.heredocs,
      mounts: flags.list('mount'),
      network,
      isInsecure: security === 'insecure',
      devices: flags.list('device').map(parseDevice),
    };
  },
  copy: (reader) => copy(reader, 'copy'),
  add: (reader) => copy(reader, 'add'),
};

/** `vendor.com/class=name,required`, `name=NAME,required=true`. @throws {Error} with BuildKit's texts */
function parseDevice(text: string): RunDevice {
  let name = '';
  let isRequired = false;
  for (const field of text.split(',')) {
    const [key = '', value] = field.split(/=(.*)/s);
    if (key.toLowerCase() === 'required') {
      if (!['true', 'false', '1', '0', undefined].includes(value)) {
        throw new Error(`invalid value for ${key}: ${value}`);
      }
      isRequired = value === undefined || value === 'true' || value === '1';
    } else if (key.toLowerCase() === 'name' && value !== undefined) {
      if (name !== '') throw new Error(`device name already set to ${name}`);
      name = value;
    } else if (name === '') name = field;
    else if (value === undefined) throw new Error(`invalid field '${field}' must be a key=value pair`);
    else throw new Error(`unexpected key '${key}' in '${field}'`);
  }
  return { name, isRequired };
}

/** @throws {DockerfileError} naming the line */
export function parseInstruction(node: Node, escape: '\\' | '`'): Instruction {
  const parse = Object.hasOwn(parsers, node.name) ? parsers[node.name] : undefined;
  if (parse === undefined) {
    const error = dockerfileError(`unknown instruction: ${node.name.toUpperCase()}`, node.startLine);
    locate(error, rangeOf(node));
    throw error;
  }
  return located(node, () => parse({ node, escape, flags: flagsOf(node) }));
}

export function flagsOf(node: Node): Flags {
  return new Flags(node.flags, flagTypes[node.name] ?? noFlags);
}

/** Runs a parser with its errors put as Docker puts them. */
export function located<T>(node: Node, body: () => T): T {
  try {
    return body();
  } catch (error) {
    // Of a trigger, located already.
    if (error instanceof DockerfileError) throw error;
    const shown =
      error instanceof SplitError
        ? dockerfileError(error.message)
        : dockerfileError((error as Error).message, node.startLine);
    locate(shown, rangeOf(node));
    throw shown;
  }
}

type Written = Pick<Instruction, 'original' | 'line' | 'endLine' | 'keyword' | 'comments'>;

/** What every instruction knows of how it is written. */
export function writtenAt(node: Node): Written {
  const { original, keyword, comments } = node;
  return { original, keyword, comments, ...rangeOf(node) };
}

/** The lines of an instruction. */
export function rangeOf(node: Node): LineRange {
  return { line: node.startLine, endLine: node.endLine };
}

function common({ node }: Pick<Reader, 'node'>): Written {
  return writtenAt(node);
}

function json(rest: string): string[] | undefined {
  try {
    return jsonWords(rest);
  } catch (error) {
    throw new SplitError((error as Error).message);
  }
}

function commandLine({ node }: Reader): CommandLine {
  const words = json(node.rest);
  if (words !== undefined) return { form: 'exec', words };
  return { form: 'shell', words: node.rest === '' ? [] : [node.rest] };
}

function listOrWords({ node, escape }: Reader): string[] {
  return json(node.rest) ?? splitWords(node.rest, escape);
}

function oneValue({ node }: Reader): string {
  if (node.rest === '') throw new Error(`${node.name.toUpperCase()} requires exactly one argument`);
  return node.rest;
}

/** `a=b c="d e"`, or the old form `a the rest`. */
function pairs({ node, escape }: Reader): { pairs: { name: string; value: string }[]; isOldForm: boolean } {
  const name = node.name.toUpperCase();
  const words = splitWords(node.rest, escape);
  if (words.length === 0) throw new Error(`${name} requires at least one argument`);
  if (!words[0]?.includes('=')) {
    const [, key = '', value] = /^(\S+)\s+([^]+)$/.exec(node.rest) ?? [];
    if (value === undefined) throw new SplitError(`${name} must have two arguments`);
    return { pairs: [{ name: key, value }], isOldForm: true };
  }
  const found = words.map((word) => {
    const equals = word.indexOf('=');
    if (equals === -1) {
      throw new SplitError(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    }
    if (equals === 0) throw new Error(`${name} names can not be blank`);
    return { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
  return { pairs: found, isOldForm: false };
}

/** `a`, `a=b`, several of them. */
export function argPairs({ node, escape }: Pick<Reader, 'node' | 'escape'>): {
  name: string;
  value: string | undefined;
}[] {
  const words = splitWords(node.rest, escape);
  if (words.length === 0) throw new Error('ARG requires at least one argument');
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals === 0) throw new Error('ARG names can not be blank');
    return equals === -1
      ? { name: word, value: undefined }
      : { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}

function trigger({ node, escape }: Reader): string {
  const word = (node.rest.split(/\s/, 1)[0] ?? '').toUpperCase();
  if (word === '') throw new Error('ONBUILD requires at least one argument');
  if (word === 'ONBUILD') throw new Error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (word === 'MAINTAINER' || word === 'FROM') {
    throw new Error(`${word} isn't allowed as an ONBUILD trigger`);
  }
  const [inner] = parseDockerfile(node.rest).nodes;
  // What is wrong with the trigger is better found now than in the builds that are based on the image.
  if (inner !== undefined) parseInstruction({ ...inner, startLine: node.startLine }, escape);
  return node.original.replace(/^\s*onbuild\s*/i, '');
}

function copy(reader: Reader, kind: 'copy' | 'add'): CopyInstruction {
  const { node, flags } = reader;
  const name = kind.toUpperCase();
  const words = listOrWords(reader);
  if (words.length === 0) throw new Error(`${name} requires at least two arguments`);
  if (words.length === 1) {
    throw new Error(
      `${name} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  }
  const destination = words.at(-1) ?? '';
  const starts = new Map(node.heredocs.map((heredoc) => [heredoc.name, heredoc]));
  const heredocs: CopyInstruction['heredocs'] = [];
  const sources: string[] = [];
  for (const word of words.slice(0, -1)) {
    const start = heredocOf(word);
    const heredoc = start === undefined ? undefined : starts.get(start.name);
    if (heredoc === undefined) sources.push(word);
    else heredocs.push(heredoc);
  }
  if (heredocOf(destination) !== undefined)
    throw new Error(`${name} cannot accept a heredoc as a destination`);
  return {
    ...common(reader),
    kind,
    sources,
    destination,
    heredocs,
    from: kind === 'copy' ? flags.text('from') : '',
    chown: flags.text('chown'),
    chmod: flags.text('chmod'),
    exclude: flags.list('exclude'),
    parents: kind === 'copy' && flags.isSet('parents'),
    link: flags.isSet('link'),
    unpack: kind === 'add' ? flags.maybe('unpack') : false,
    checksum: kind === 'add' ? flags.text('checksum') : '',
    keepGitDir: kind === 'add' && flags.isSet('keep-git-dir'),
  };
}
