import { posix } from 'node:path';
import { EngineError, errorMessage } from '../errors/index.ts';
import type { Healthcheck, ImageRunConfig } from '../spec/index.ts';
import { expandWord, splitWords } from './change-words.ts';

/** A config while instructions are applied; `cmdSet` is Docker's rule that ENTRYPOINT forgets an inherited CMD. */
interface Target {
  config: ImageRunConfig;
  cmdSet: boolean;
}

type Apply = (target: Target, rest: string) => void;

const defaultShell = ['/bin/sh', '-c'];

/**
 * Applies `--change` instructions of `docker import` and `docker commit` to a config: CMD, ENTRYPOINT, ENV, EXPOSE,
 * HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR, as in a Dockerfile. The config given is not changed.
 * @throws {EngineError} `invalid-parameter` with Docker's text
 */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  const target: Target = { config: structuredClone(config), cmdSet: false };
  for (const line of instructionLines(changes.join('\n'))) {
    const [, name = '', rest = ''] = /^(\S+)\s*([^]*)$/.exec(line) ?? [];
    const apply = instructions[name.toLowerCase()];
    if (apply === undefined) throw invalid(`${name.toLowerCase()} is not a valid change command`);
    try {
      apply(target, rest.trim());
    } catch (error) {
      if (error instanceof EngineError) throw error;
      throw invalid(errorMessage(error));
    }
  }
  return target.config;
}

/** Without comments and empty lines; a backslash at the end continues a line. */
function instructionLines(text: string): string[] {
  const lines: string[] = [];
  let open = '';
  for (const line of text.split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue;
    const continued = /\\\s*$/.exec(line);
    if (continued === null) {
      lines.push((open + line).trim());
      open = '';
    } else {
      open += line.slice(0, continued.index);
    }
  }
  if (open.trim() !== '') lines.push(open.trim());
  return lines;
}

const instructions: Readonly<Record<string, Apply>> = {
  cmd: (target, rest) => {
    target.config.Cmd = commandLine(target.config, rest);
    target.cmdSet = true;
  },
  entrypoint: (target, rest) => {
    target.config.Entrypoint = commandLine(target.config, rest);
    if (!target.cmdSet) target.config.Cmd = null;
  },
  env: ({ config }, rest) => {
    const variables = environment(config);
    const list = [...(config.Env ?? [])];
    for (const [name, value] of pairs('ENV', rest, variables)) {
      if (name === '') throw invalid('ENV names can not be blank');
      const index = list.findIndex((entry) => entry.split('=', 1)[0] === name);
      if (index === -1) list.push(`${name}=${value}`);
      else list[index] = `${name}=${value}`;
    }
    config.Env = list;
  },
  expose: ({ config }, rest) => {
    const ports: Record<string, object> = { ...config.ExposedPorts };
    for (const word of required('EXPOSE', splitWords(rest))) {
      for (const spec of splitWords(expandWord(word, environment(config)))) {
        for (const port of portRange(spec)) ports[port] = {};
      }
    }
    config.ExposedPorts = ports;
  },
  healthcheck: ({ config }, rest) => {
    config.Healthcheck = healthcheck(config, rest);
  },
  label: ({ config }, rest) => {
    const labels = { ...config.Labels };
    for (const [name, value] of pairs('LABEL', rest, environment(config))) {
      if (name === '') throw invalid('LABEL names can not be blank');
      labels[name] = value;
    }
    config.Labels = labels;
  },
  onbuild: ({ config }, rest) => {
    const trigger = (rest.split(/\s/, 1)[0] ?? '').toUpperCase();
    if (trigger === '') throw invalid('ONBUILD requires at least one argument');
    if (trigger === 'ONBUILD') throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (trigger === 'MAINTAINER' || trigger === 'FROM') {
      throw invalid(`${trigger} isn't allowed as an ONBUILD trigger`);
    }
    config.OnBuild = [...(config.OnBuild ?? []), rest];
  },
  stopsignal: ({ config }, rest) => {
    const signal = expandWord(one('STOPSIGNAL', rest), environment(config));
    if (!/^(\d+|(SIG)?[A-Z][A-Z0-9]*([+-]\d+)?)$/i.test(signal)) throw invalid(`invalid signal: ${signal}`);
    config.StopSignal = signal;
  },
  user: ({ config }, rest) => {
    config.User = expandWord(one('USER', rest), environment(config));
  },
  volume: ({ config }, rest) => {
    const volumes: Record<string, object> = { ...config.Volumes };
    for (const word of required('VOLUME', jsonList(rest) ?? splitWords(rest))) {
      const path = expandWord(word, environment(config)).trim();
      if (path === '') throw invalid('VOLUME specified can not be an empty string');
      volumes[path] = {};
    }
    config.Volumes = volumes;
  },
  workdir: ({ config }, rest) => {
    const path = expandWord(one('WORKDIR', rest), environment(config));
    const whole = posix.join('/', path.startsWith('/') ? '' : (config.WorkingDir ?? ''), path);
    config.WorkingDir = whole === '/' ? whole : whole.replace(/\/$/, '');
  },
};

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message, { code: 'bad-change' });
}

function required(name: string, words: string[]): string[] {
  if (words.length === 0) throw invalid(`${name} requires at least one argument`);
  return words;
}

function one(name: string, rest: string): string {
  if (rest === '') throw invalid(`${name} requires exactly one argument`);
  return rest;
}

function environment(config: ImageRunConfig): ReadonlyMap<string, string> {
  return new Map(
    (config.Env ?? []).map((entry) => {
      const equals = entry.indexOf('=');
      return equals === -1 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

function jsonList(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value as string[];
  } catch {
    // Docker takes what is not JSON as the shell form.
  }
  return undefined;
}

function commandLine(config: ImageRunConfig, rest: string): string[] {
  return jsonList(rest) ?? [...(config.Shell ?? defaultShell), ...(rest === '' ? [] : [rest])];
}

/** `a=b c="d e"`, or the old form `a the rest`. */
function pairs(name: string, rest: string, variables: ReadonlyMap<string, string>): [string, string][] {
  const words = required(name, splitWords(rest));
  if (!words[0]?.includes('=')) {
    const [, key = '', value] = /^(\S+)\s+([^]+)$/.exec(rest) ?? [];
    if (value === undefined) throw invalid(`${name} must have two arguments`);
    return [[expandWord(key, variables), expandWord(value, variables)]];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals === -1) {
      throw invalid(`Syntax error - can't find = in "${word}". Must be of the form: name=value`);
    }
    return [expandWord(word.slice(0, equals), variables), expandWord(word.slice(equals + 1), variables)];
  });
}

/** `80`, `80/udp`, `8000-8010`; a host part, which Docker takes too, is dropped. */
function portRange(spec: string): string[] {
  const [, first = '', last = first, protocol = 'tcp'] =
    /^(?:.*:)?(\d+)(?:-(\d+))?(?:\/([A-Za-z]+))?$/.exec(spec) ?? [];
  const [from, to] = [Number(first), Number(last)];
  const known = ['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase());
  if (!known) throw invalid(`invalid proto: ${protocol}`);
  if (first === '' || from > to || to > 65535) throw invalid(`invalid containerPort: ${spec}`);
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${protocol.toLowerCase()}`);
}

function healthcheck(config: ImageRunConfig, rest: string): Healthcheck {
  const check: Healthcheck = {};
  let left = rest;
  for (;;) {
    const [whole, flag = '', value = ''] = /^--([a-z-]+)=(\S+)\s*/.exec(left) ?? [];
    if (whole === undefined) break;
    left = left.slice(whole.length);
    if (flag === 'interval') check.Interval = durationNanos(flag, value);
    else if (flag === 'timeout') check.Timeout = durationNanos(flag, value);
    else if (flag === 'start-period') check.StartPeriod = durationNanos(flag, value);
    else if (flag === 'start-interval') check.StartInterval = durationNanos(flag, value);
    else if (flag === 'retries' && /^\d+$/.test(value)) check.Retries = Number(value);
    else throw invalid(`unknown flag: ${flag}`);
  }
  const [, kind = '', command = ''] = /^(\S*)\s*([^]*)$/.exec(left) ?? [];
  if (kind.toUpperCase() === 'NONE' && command === '') return { Test: ['NONE'] };
  if (kind.toUpperCase() !== 'CMD') throw invalid(`unknown type "${kind}" in HEALTHCHECK (try CMD)`);
  if (command === '') throw invalid('missing command after HEALTHCHECK CMD');
  const list = jsonList(command);
  return { ...check, Test: list === undefined ? ['CMD-SHELL', command] : ['CMD', ...list] };
}

const unitNanos: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's durations: `1m30s`, `1.5h`, `500ms`. */
function durationNanos(flag: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    const what = /^\d+(\.\d+)?$/.test(text) ? 'missing unit in' : 'invalid';
    throw invalid(`time: ${what} duration "${text}"`);
  }
  const nanos = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitNanos[unit ?? ''] ?? 0), 0);
  if (nanos !== 0 && nanos < 1e6) throw invalid(`Interval "${flag}" cannot be less than 1ms`);
  return Math.round(nanos);
}
