import type { BuildPlan } from '../graph/plan.ts';
import { parseMountFields } from '../ops/run-mounts.ts';
import type { Dockerfile } from './instructions/instruction.ts';
import { rangesOf, type SourceLocation } from './lint/results.ts';
import type { LineRange } from './location.ts';
import { expandWatched } from './lint/watched.ts';

/** What a target can be given, in BuildKit's JSON (`--call=outline`). Sources are base64. */
export interface Outline {
  name?: string;
  description?: string;
  args?: { name: string; description?: string; value?: string; location: SourceLocation }[];
  secrets?: { name: string; required?: boolean; location: SourceLocation }[];
  ssh?: { name: string; required?: boolean; location: SourceLocation }[];
  sources: string[];
}

/** The stages of a file, in BuildKit's JSON (`--call=targets`). Sources are base64. */
export interface TargetList {
  targets: {
    name?: string;
    default?: boolean;
    description?: string;
    base?: string;
    platform?: string;
    location: SourceLocation;
  }[];
  sources: string[];
}

/** The comment above a definition when it begins with the name, without it. */
function descriptionOf(comments: readonly string[], name: string): string {
  const comment = comments.findLast((text) => text.startsWith(`${name} `));
  return comment === undefined ? '' : comment.slice(name.length + 1).trim();
}

function place(range: LineRange): SourceLocation {
  return { ranges: rangesOf(range) };
}

export function listTargets(file: Dockerfile, text: string): TargetList {
  return {
    targets: file.stages.map((stage, index) => {
      const description = stage.name === '' ? '' : descriptionOf(stage.comments, stage.name);
      return {
        ...(stage.name === '' ? {} : { name: stage.name }),
        ...(index === file.stages.length - 1 ? { default: true } : {}),
        ...(description === '' ? {} : { description }),
        base: stage.base,
        ...(stage.platform === '' ? {} : { platform: stage.platform }),
        location: place(stage),
      };
    }),
    sources: [Buffer.from(text).toString('base64')],
  };
}

/** Arguments, secrets and agents of what a target needs, in the order of lines. */
export function outlineOf(
  file: Dockerfile,
  plan: BuildPlan,
  given: {
    text: string;
    buildArgs: Readonly<Record<string, string | null>>;
    platformArgs: ReadonlyMap<string, string>;
  },
): Outline {
  const args = new Map<string, NonNullable<Outline['args']>[number]>();
  const secrets = new Map<string, NonNullable<Outline['secrets']>[number]>();
  const ssh = new Map<string, NonNullable<Outline['ssh']>[number]>();
  const addArg = (
    name: string,
    value: string | undefined,
    at: LineRange & { comments: readonly string[] },
  ): void => {
    if (args.has(name)) return;
    const description = descriptionOf(at.comments, name);
    args.set(name, {
      name,
      ...(description === '' ? {} : { description }),
      ...(value === undefined || value === '' ? {} : { value }),
      location: place(at),
    });
  };
  const used = new Set<string>();
  for (const { stage } of plan.needed) {
    const base = expandWatched(`${stage.base} ${stage.platform}`, file.escape, new Map());
    for (const name of base.missing) used.add(name);
    for (const instruction of stage.instructions) {
      if (instruction.kind === 'arg') for (const { name } of instruction.pairs) used.add(name);
    }
  }
  for (const arg of file.metaArgs) {
    if (used.has(arg.name)) addArg(arg.name, plan.metaArgs.get(arg.name), arg);
  }
  for (const { stage } of plan.needed) {
    const variables = new Map([...given.platformArgs, ...plan.metaArgs]);
    for (const instruction of stage.instructions) {
      if (instruction.kind === 'arg') {
        for (const { name, value } of instruction.pairs) {
          const outer = given.buildArgs[name] ?? undefined;
          const own = value === undefined ? undefined : expandWatched(value, file.escape, variables).text;
          const settled = outer ?? own ?? plan.metaArgs.get(name);
          if (settled !== undefined) variables.set(name, settled);
          if (!given.platformArgs.has(name)) addArg(name, settled, instruction);
        }
      }
      if (instruction.kind !== 'run') continue;
      for (const mount of instruction.mounts) {
        const fields = parseMountFields(mount);
        const type = fields.get('type');
        const list = type === 'secret' ? secrets : type === 'ssh' ? ssh : undefined;
        if (list === undefined) continue;
        const target = fields.get('target')?.split('/').at(-1);
        const name =
          fields.get('id') ?? fields.get('source') ?? (type === 'ssh' ? 'default' : (target ?? ''));
        const required = ['true', '1'].includes(fields.get('required') ?? '');
        if (!list.has(name))
          list.set(name, { name, ...(required ? { required } : {}), location: place(instruction) });
      }
    }
  }
  const target = plan.stages[plan.target]?.stage;
  const description =
    target === undefined || target.name === '' ? '' : descriptionOf(target.comments, target.name);
  return {
    ...(target === undefined || target.name === '' ? {} : { name: target.name }),
    ...(description === '' ? {} : { description }),
    ...(args.size === 0 ? {} : { args: sorted([...args.values()]) }),
    ...(secrets.size === 0 ? {} : { secrets: sorted([...secrets.values()]) }),
    ...(ssh.size === 0 ? {} : { ssh: sorted([...ssh.values()]) }),
    sources: [Buffer.from(given.text).toString('base64')],
  };
}

function sorted<T extends { location: SourceLocation }>(items: T[]): T[] {
  const line = ({ location }: T): number => location.ranges?.[0]?.start.line ?? 0;
  return items.toSorted((a, b) => line(a) - line(b));
}
