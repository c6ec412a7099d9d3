import { EngineError } from '../../errors/index.ts';
import type { Platform } from '../../spec/index.ts';
import type { Dockerfile, Instruction, Stage } from '../dockerfile/instructions/instruction.ts';
import { expandWord } from '../dockerfile/shell/expand.ts';
import { parseMountFields } from '../ops/run-mounts.ts';

export type StageBase =
  | { kind: 'scratch' }
  | { kind: 'stage'; index: number }
  | { kind: 'image'; name: string }
  /** Files or an image that were given with the build under this name. */
  | { kind: 'context'; name: string };

export interface PlannedStage {
  index: number;
  stage: Stage;
  base: StageBase;
  platform: string;
}

/** What has to be built, in an order in which everything needed comes first. */
export interface BuildPlan {
  /** All of the file; only those of `needed` are built. */
  stages: PlannedStage[];
  needed: PlannedStage[];
  target: number;
  /** Values of the ARGs in front of the first FROM, for stages that declare them again. */
  metaArgs: ReadonlyMap<string, string>;
  /** Steps as counted for the user. */
  steps: number;
}

/** @throws {EngineError} `invalid-parameter` */
export function planBuild(
  file: Dockerfile,
  options: {
    target: string;
    buildArgs: Readonly<Record<string, string | null>>;
    platformArgs: ReadonlyMap<string, string>;
    /** Whether a named context takes the place of an image or a stage. */
    isContext?: (name: string) => boolean;
  },
): BuildPlan {
  const isContext = options.isContext ?? (() => false);
  const target = findTarget(file.stages, options.target);
  const metaArgs = new Map<string, string>();
  for (const { name, value } of file.metaArgs) {
    const variables = new Map([...options.platformArgs, ...metaArgs]);
    const given = Object.hasOwn(options.buildArgs, name) ? options.buildArgs[name] : undefined;
    const settled =
      given ?? (value === undefined ? undefined : expandWord(value, { escape: file.escape, variables }));
    if (settled !== undefined) metaArgs.set(name, settled);
  }
  const variables = new Map([...options.platformArgs, ...metaArgs]);
  const expand = (text: string): string => expandWord(text, { escape: file.escape, variables });
  const stages = file.stages.map((stage, index): PlannedStage => {
    if (stage.name !== '' && isContext(stage.name)) {
      const replaced = { ...stage, instructions: [] };
      return { index, stage: replaced, base: { kind: 'context', name: stage.name }, platform: '' };
    }
    const name = expand(stage.base);
    const base = baseOf(file.stages, index, name, stage.base);
    const replaced = base.kind === 'image' && isContext(name);
    return {
      index,
      stage,
      base: replaced ? { kind: 'context', name } : base,
      platform: expand(stage.platform),
    };
  });
  const wanted = new Set<number>();
  const visit = (index: number): void => {
    if (wanted.has(index)) return;
    wanted.add(index);
    const planned = stages[index];
    if (planned === undefined) return;
    if (planned.base.kind === 'stage') visit(planned.base.index);
    for (const instruction of planned.stage.instructions) {
      for (const other of stagesUsed(file.stages, index, instruction)) visit(other);
    }
  };
  visit(target);
  const needed = stages.filter(({ index }) => wanted.has(index));
  const steps =
    file.metaArgs.length + needed.reduce((sum, { stage }) => sum + 1 + stage.instructions.length, 0);
  return { stages, needed, target, metaArgs, steps };
}

function findTarget(stages: readonly Stage[], target: string): number {
  if (target === '') return stages.length - 1;
  const byName = stages.findLastIndex((stage) => stage.name === target.toLowerCase());
  if (byName !== -1) return byName;
  const number = /^\d+$/.test(target) ? Number(target) : -1;
  if (stages[number] !== undefined) return number;
  throw new EngineError('invalid-parameter', `failed to reach build target ${target} in Dockerfile`);
}

function baseOf(stages: readonly Stage[], index: number, name: string, written: string): StageBase {
  if (name === '') throw new EngineError('invalid-parameter', `base name (${written}) should not be blank`);
  if (name === 'scratch') return { kind: 'scratch' };
  const earlier = earlierStage(stages, index, name);
  return earlier === undefined ? { kind: 'image', name } : { kind: 'stage', index: earlier };
}

function earlierStage(stages: readonly Stage[], index: number, name: string): number | undefined {
  const found = stages.slice(0, index).findLastIndex((stage) => stage.name === name.toLowerCase());
  return found === -1 ? undefined : found;
}

/**
 * What `--from` means in a stage: an earlier stage by name or number, undefined for an image.
 * @throws {EngineError} `invalid-parameter` for the stage itself and a number that no earlier stage has
 */
export function stageOfFrom(stages: readonly Stage[], index: number, from: string): number | undefined {
  const named = earlierStage(stages, index, from);
  if (named !== undefined) return named;
  if (stages[index]?.name !== '' && stages[index]?.name === from.toLowerCase()) {
    throw new EngineError(
      'invalid-parameter',
      `invalid from flag value ${from}: refers to current build stage`,
    );
  }
  if (!/^\d+$/.test(from)) return undefined;
  if (Number(from) < index) return Number(from);
  throw new EngineError(
    'invalid-parameter',
    `invalid from flag value ${from}: ${Number(from) === index ? 'refers to current build stage' : 'index out of bounds'}`,
  );
}

function stagesUsed(stages: readonly Stage[], index: number, instruction: Instruction): number[] {
  const froms: string[] = [];
  if (instruction.kind === 'copy' && instruction.from !== '') froms.push(instruction.from);
  if (instruction.kind === 'run') {
    for (const mount of instruction.mounts) {
      const from = parseMountFields(mount).get('from');
      if (from !== undefined && from !== '') froms.push(from);
    }
  }
  return froms.flatMap((from) => {
    const used = stageOfFrom(stages, index, from);
    return used === undefined ? [] : [used];
  });
}

/** `linux/arm64/v8`. @throws {EngineError} `invalid-parameter` */
export function parsePlatform(text: string, machine: Platform): Platform {
  if (text === '') return machine;
  const [first = '', second, third, more] = text.toLowerCase().split('/');
  const aliases: Record<string, string> = { x86_64: 'amd64', 'x86-64': 'amd64', aarch64: 'arm64' };
  const os = second === undefined && (first === machine.architecture || first in aliases) ? 'linux' : first;
  const named = second ?? (os === first ? machine.architecture : first);
  if (more !== undefined || !/^[a-z0-9_.-]+$/.test(os) || !/^[a-z0-9_.-]+$/.test(named)) {
    throw new EngineError('invalid-parameter', `${JSON.stringify(text)} is an invalid platform`);
  }
  const architecture = aliases[named] ?? named;
  return { os, architecture, ...(third === undefined ? {} : { variant: third }) };
}

/** Arguments that are there without being given. @param stage the target as the build names it */
export function platformArguments(build: Platform, target: Platform, stage: string): Map<string, string> {
  const text = ({ os, architecture, variant }: Platform): string =>
    [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
  return new Map([
    ['BUILDPLATFORM', text(build)],
    ['BUILDOS', build.os],
    ['BUILDARCH', build.architecture],
    ['BUILDVARIANT', build.variant ?? ''],
    ['TARGETPLATFORM', text(target)],
    ['TARGETOS', target.os],
    ['TARGETARCH', target.architecture],
    ['TARGETVARIANT', target.variant ?? ''],
    ['TARGETSTAGE', stage === '' ? 'default' : stage],
  ]);
}
