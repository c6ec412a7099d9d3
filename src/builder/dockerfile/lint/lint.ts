import { isReferenceName } from './reference-name.ts';
import type { Dockerfile, Instruction, Stage } from '../instructions/instruction.ts';
import type { LineRange } from '../location.ts';
import { isChecked, parseCheckOptions, withComments, type CheckOptions } from './check-options.ts';
import { rules, type LintRule } from './rules.ts';
import { lintStage, type StageSurroundings } from './stage-rules.ts';
import { suggestion } from './suggest.ts';
import { expandWatched } from './watched.ts';

/** A violation of a rule. */
export interface LintWarning {
  rule: LintRule;
  /** For this place. */
  message: string;
  range: LineRange;
}

export interface LintInput {
  file: Dockerfile;
  /** Indexes of the stages that the target needs; only what is in these is looked at closely. */
  needed: ReadonlySet<number>;
  platformArgs: ReadonlyMap<string, string>;
  /** Values of the ARGs in front of the first FROM. */
  metaArgs: ReadonlyMap<string, string>;
  /** What is known of a stage besides the file. */
  surroundings: (stage: number) => StageSurroundings;
}

export type Report = (
  rule: LintRule,
  message: string,
  place: LineRange & { comments?: readonly string[] },
) => void;

/**
 * Checks a Dockerfile that has been read without errors.
 * @returns what the file's own options let through, in the order of lines, and whether they make it an error
 * @throws {EngineError} `invalid-parameter` for a broken `# check=`
 */
export function lintDockerfile(input: LintInput): { warnings: LintWarning[]; isError: boolean } {
  const { file } = input;
  const options: CheckOptions = parseCheckOptions(file.check);
  const warnings: LintWarning[] = [];
  const report: Report = (rule, message, { line, endLine, comments = [] }) => {
    if (!isChecked(withComments(options, comments), rule)) return;
    warnings.push({ rule, message, range: { line, endLine } });
  };
  for (const line of file.emptyContinuations) {
    report(rules.noEmptyContinuation, 'Empty continuation line', { line, endLine: line });
  }
  lintStageNames(file.stages, report);
  lintCasing(file.stages, report);
  lintDescriptions(file, report);
  lintBases(input, report);
  for (const [index, stage] of file.stages.entries()) {
    if (input.needed.has(index)) lintStage(stage, input.surroundings(index), report);
  }
  const seen = new Set<string>();
  const once = warnings.filter(({ rule, message, range }) => {
    const key = `${rule.name} ${range.line} ${message}`;
    return !seen.has(key) && seen.add(key);
  });
  return {
    warnings: once.toSorted((a, b) => a.range.line - b.range.line),
    isError: options.isError && once.length > 0,
  };
}

const reserved = ['context', 'scratch'];

function lintStageNames(stages: readonly Stage[], report: Report): void {
  const seen = new Set<string>();
  for (const stage of stages) {
    const { name, written, keyword } = stage;
    const isLower = keyword === keyword.toLowerCase();
    if (written.name !== written.name.toLowerCase()) {
      report(rules.stageNameCasing, `Stage name '${written.name}' should be lowercase`, stage);
    }
    const hasOneCase = isLower || keyword === keyword.toUpperCase();
    const wanted = isLower ? written.as.toLowerCase() : written.as.toUpperCase();
    if (hasOneCase && written.as !== wanted) {
      report(rules.fromAsCasing, `'${written.as}' and '${keyword}' keywords' casing do not match`, stage);
    }
    if (name === '') continue;
    if (reserved.includes(name)) {
      report(
        rules.reservedStageName,
        `Stage name should not use the same name as reserved stage ${JSON.stringify(name)}`,
        stage,
      );
    }
    if (seen.has(name)) {
      report(
        rules.duplicateStageName,
        `Duplicate stage name ${JSON.stringify(name)}, stage names should be unique`,
        stage,
      );
    }
    seen.add(name);
  }
}

function lintCasing(stages: readonly Stage[], report: Report): void {
  // Labels of the request do not stand in the file.
  const all = stages
    .flatMap((stage): (Stage | Instruction)[] => [stage, ...stage.instructions])
    .filter(({ line }) => line > 0);
  const lower = all.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
  const upper = all.filter(({ keyword }) => keyword === keyword.toUpperCase()).length;
  const isLower = lower > upper;
  for (const one of all) {
    const { keyword } = one;
    if (keyword === (isLower ? keyword.toLowerCase() : keyword.toUpperCase())) continue;
    const casing = isLower ? 'lowercase' : 'uppercase';
    report(
      rules.consistentInstructionCasing,
      `Command '${keyword}' should match the case of the command majority (${casing})`,
      one,
    );
  }
}

function lintDescriptions(file: Dockerfile, report: Report): void {
  const check = (
    what: string,
    names: readonly string[],
    place: LineRange & { comments: readonly string[] },
  ): void => {
    const comment = place.comments.at(-1);
    if (comment === undefined || names.length === 0 || names.includes(comment.split(' ', 1)[0] ?? '')) return;
    const example = names.length > 1 ? '<arg_key>' : names[0];
    report(
      rules.invalidDefinitionDescription,
      `Comment for ${what} should follow the format: \`# ${example} <description>\``,
      place,
    );
  };
  for (const arg of file.metaArgs) check('ARG', [arg.name], arg);
  for (const stage of file.stages) {
    if (stage.name !== '') check('FROM', [stage.name], stage);
    for (const instruction of stage.instructions) {
      if (instruction.kind !== 'arg') continue;
      const names = instruction.pairs.map(({ name }) => name);
      check('ARG', names, instruction);
    }
  }
}

function lintBases(input: LintInput, report: Report): void {
  const { file, platformArgs, metaArgs } = input;
  const { escape } = file;
  const variables = new Map([...platformArgs, ...metaArgs]);
  const declared = new Set([...platformArgs.keys(), ...file.metaArgs.map(({ name }) => name)]);
  const defaults = new Map(platformArgs);
  for (const { name, value } of file.metaArgs) {
    const settled = value === undefined ? undefined : expandWatched(value, escape, defaults).text;
    if (settled !== undefined) defaults.set(name, settled);
  }
  for (const stage of file.stages) {
    const base = expandWatched(stage.base, escape, variables);
    const platform = expandWatched(stage.platform, escape, variables);
    for (const name of [...base.missing, ...platform.missing]) {
      if (declared.has(name)) continue;
      const meant = suggestion(name, declared);
      const hint = meant === '' ? '' : ` (did you mean ${meant}?)`;
      report(rules.undefinedArgInFrom, `FROM argument '${name}' is not declared${hint}`, stage);
    }
    const byDefault = expandWatched(stage.base, escape, defaults).text;
    if (byDefault !== undefined && !isReferenceName(byDefault)) {
      report(
        rules.invalidDefaultArgInFrom,
        `Default value for ARG ${stage.base} results in empty or invalid base image name`,
        stage,
      );
    }
    if (stage.platform !== '') lintPlatform(stage, platform, variables, report);
  }
}

function lintPlatform(
  stage: Stage,
  { text, used, missing }: ReturnType<typeof expandWatched>,
  variables: ReadonlyMap<string, string>,
  report: Report,
): void {
  const [only, ...others] = used;
  if (only === 'TARGETPLATFORM' && others.length + missing.size === 0 && text === variables.get(only)) {
    report(
      rules.redundantTargetPlatform,
      `Setting platform to predefined ${stage.platform} in FROM is redundant as this is the default behavior`,
      stage,
    );
  }
  if (used.size + missing.size > 0 || text === undefined) return;
  if (text.split('/').some((part) => part !== '' && stage.name.includes(part))) return;
  report(
    rules.fromPlatformFlagConstDisallowed,
    `FROM --platform flag should not use constant value ${JSON.stringify(text)}`,
    stage,
  );
}
