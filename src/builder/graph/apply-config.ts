import { posix } from 'node:path';
import { EngineError } from '../../errors/index.ts';
import type { Healthcheck, ImageRunConfig } from '../../spec/index.ts';
import type { CommandLine, Instruction } from '../dockerfile/instructions/instruction.ts';

export const defaultShell = ['/bin/sh', '-c'];

/** Instructions that change the configuration and no file. */
export type ConfigInstruction = Exclude<Instruction, { kind: 'run' | 'copy' | 'add' | 'workdir' | 'arg' }>;

export interface ConfigStep {
  config: ImageRunConfig;
  /** The instruction as history shows it. */
  text: string;
  author?: string;
}

interface Context {
  config: ImageRunConfig;
  /** An earlier CMD of this stage: ENTRYPOINT forgets only an inherited one. */
  cmdSet: boolean;
  expand: (text: string) => string;
  expandWords: (text: string) => string[];
}

/** The configuration after an instruction; the one given is not changed. @throws {EngineError} `invalid-parameter` */
export function applyConfig(instruction: ConfigInstruction, context: Context): ConfigStep {
  const { config, expand } = context;
  switch (instruction.kind) {
    case 'env': {
      const env = [...(config.Env ?? [])];
      const pairs = instruction.pairs.map(({ name, value }) => [expand(name), expand(value)] as const);
      for (const [name, value] of pairs) {
        if (name === '') throw invalid('ENV names can not be blank');
        const index = env.findIndex((entry) => entry.split('=', 1)[0] === name);
        if (index === -1) env.push(`${name}=${value}`);
        else env[index] = `${name}=${value}`;
      }
      const text = pairs.map(([name, value]) => `${name}=${value}`).join(' ');
      return { config: { ...config, Env: env }, text: ` ENV ${text}` };
    }
    case 'label': {
      const labels = { ...config.Labels };
      const texts: string[] = [];
      for (const { name, value } of instruction.pairs) {
        const key = expand(name);
        if (key === '') throw invalid('LABEL names can not be blank');
        labels[key] = expand(value);
        texts.push(`${key}=${labels[key]}`);
      }
      return { config: { ...config, Labels: labels }, text: ` LABEL ${texts.join(' ')}` };
    }
    case 'cmd': {
      const Cmd = inShell(instruction.command, config);
      return { config: { ...config, Cmd }, text: ` CMD ${goQuoted(Cmd)}` };
    }
    case 'entrypoint': {
      const words = inShell(instruction.command, config);
      const Entrypoint = words.length === 0 ? null : words;
      return {
        config: { ...config, Entrypoint, ...(context.cmdSet ? {} : { Cmd: null }) },
        text: ` ENTRYPOINT ${goQuoted(words)}`,
      };
    }
    case 'expose': {
      const words = instruction.words.flatMap(context.expandWords);
      const ports: Record<string, object> = { ...config.ExposedPorts };
      for (const port of words.flatMap(exposedPorts)) ports[port] = {};
      return { config: { ...config, ExposedPorts: ports }, text: ` EXPOSE ${words.toSorted().join(' ')}` };
    }
    case 'volume': {
      const words = instruction.words.map((word) => expand(word).trim());
      if (words.includes('')) throw invalid('VOLUME specified can not be an empty string');
      const volumes: Record<string, object> = { ...config.Volumes };
      for (const word of words) volumes[word] = {};
      return { config: { ...config, Volumes: volumes }, text: ` VOLUME [${words.join(' ')}]` };
    }
    case 'user': {
      const user = expand(instruction.value);
      return { config: { ...config, User: user }, text: ` USER ${user}` };
    }
    case 'stopsignal': {
      const signal = expand(instruction.value);
      if (!/^(\d+|(SIG)?[A-Z][A-Z0-9]*([+-]\d+)?)$/.test(signal) || !isSignal(signal)) {
        throw invalid(`Invalid signal: ${signal}`);
      }
      return { config: { ...config, StopSignal: signal }, text: ` STOPSIGNAL ${signal}` };
    }
    case 'maintainer':
      return { config, text: ` MAINTAINER ${instruction.value}`, author: instruction.value };
    case 'shell':
      return {
        config: { ...config, Shell: instruction.words },
        text: ` SHELL [${instruction.words.join(' ')}]`,
      };
    case 'healthcheck':
      return {
        config: { ...config, Healthcheck: instruction.check },
        text: ` HEALTHCHECK ${healthText(instruction.check)}`,
      };
    case 'onbuild':
      return {
        config: { ...config, OnBuild: [...(config.OnBuild ?? []), instruction.trigger] },
        text: ` ONBUILD ${instruction.trigger}`,
      };
  }
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}

/** The shell form runs in the stage's shell. */
export function inShell(command: CommandLine, config: ImageRunConfig): string[] {
  return command.form === 'exec' ? command.words : [...(config.Shell ?? defaultShell), ...command.words];
}

function goQuoted(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(' ')}]`;
}

const signalNames =
  'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT RTMAX RTMIN SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ'.split(
    ' ',
  );

function isSignal(text: string): boolean {
  if (/^\d+$/.test(text)) return Number(text) > 0 && Number(text) <= 64;
  const [name = ''] = text.replace(/^SIG/, '').split(/[+-]/);
  return signalNames.includes(name);
}

/** `80`, `80/udp`, `8000-8010`; a host part, which Docker takes too, is dropped. */
function exposedPorts(spec: string): string[] {
  const [ports = '', protocolText = 'tcp'] = spec.split('/');
  const protocol = protocolText.toLowerCase();
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) throw invalid(`Invalid proto: ${protocolText}`);
  const range = ports.split(':').at(-1) ?? '';
  const [, first = '', last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first === '' || to > 65535 || from > to) throw invalid(`Invalid containerPort: ${range}`);
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${protocol}`);
}

/** As Go prints the structure. */
function healthText(check: Healthcheck): string {
  const times = [check.Interval, check.Timeout, check.StartPeriod].map((nanos) =>
    JSON.stringify(goDuration(nanos ?? 0)),
  );
  return `&{${goQuoted(check.Test ?? [])} ${times.join(' ')} ${goRune(check.Retries ?? 0)}}`;
}

function goRune(code: number): string {
  return `'\\x${code.toString(16).padStart(2, '0')}'`;
}

function goDuration(nanos: number): string {
  if (nanos < 1e9) return nanos === 0 ? '0s' : `${nanos / 1e6}ms`;
  const hours = Math.floor(nanos / 3600e9);
  const minutes = Math.floor((nanos % 3600e9) / 60e9);
  const seconds = (nanos % 60e9) / 1e9;
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}

/** WORKDIR's new value, absolute. @throws {EngineError} for an empty one */
export function nextWorkingDirectory(config: ImageRunConfig, value: string): string {
  if (value === '') throw invalid('cannot normalize nothing');
  return posix.resolve('/', config.WorkingDir ?? '', value);
}
