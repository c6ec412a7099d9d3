import { posix } from 'node:path';
import type { IgnoreRules } from '../../../archive/index.ts';
import type { Instruction, Stage } from '../instructions/instruction.ts';
import type { Report } from './lint.ts';
import { rules } from './rules.ts';
import { suggestion } from './suggest.ts';
import { expandWatched } from './watched.ts';

/** What of a stage does not stand in its own lines. */
export interface StageSurroundings {
  escape: '\\' | '`';
  /** Variables at its beginning: of the base image, or of the stage it is based on. Undefined: not known. */
  variables: ReadonlyMap<string, string> | undefined;
  hasShell: boolean;
  /** The base image, when it is of another platform than the stage. */
  foreignBase?: { name: string; expected: string; actual: string };
  /** Values that ARGs get from outside. */
  given: ReadonlyMap<string, string>;
  /** What `.dockerignore` excludes. */
  ignored: IgnoreRules;
  /** Notes variables at the stage's end, for stages that are based on it. */
  ended: (variables: ReadonlyMap<string, string>, hasShell: boolean) => void;
}

/** Predefined without an ARG, and never shown as undefined. */
const silentVariables = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

const onceOnly = ['cmd', 'entrypoint', 'healthcheck'];

const secretName =
  /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const harmlessName = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/** The checks that follow a stage instruction by instruction. */
export function lintStage(stage: Stage, around: StageSurroundings, report: Report): void {
  const variables = around.variables === undefined ? undefined : new Map(around.variables);
  const declared = new Set<string>();
  const last = new Map<string, Instruction>();
  let { hasShell } = around;
  let workdirSet = false;
  if (around.foreignBase !== undefined) {
    const { name, expected, actual } = around.foreignBase;
    report(
      rules.invalidBaseImagePlatform,
      `Base image ${name} was pulled with platform ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)} for current build`,
      stage,
    );
  }
  for (const instruction of stage.instructions) {
    if (instruction.line === 0) continue;
    for (const word of wordsOf(instruction)) lintVariables(word, instruction);
    const { kind } = instruction;
    const previous = last.get(kind);
    if (onceOnly.includes(kind)) {
      if (previous !== undefined) {
        report(
          rules.multipleInstructionsDisallowed,
          `Multiple ${instruction.keyword} instructions should not be used in the same stage because only the last one will be used`,
          previous,
        );
      }
      last.set(kind, instruction);
    }
    switch (kind) {
      case 'env':
      case 'label':
        if (instruction.isOldForm) {
          const name = instruction.keyword;
          const message = `"${name} key=value" should be used instead of legacy "${name} key value" format`;
          report(rules.legacyKeyValueFormat, message, instruction);
        }
        if (kind === 'label') break;
        for (const { name, value } of instruction.pairs) {
          lintSecret('ENV', name, instruction);
          variables?.set(name, expanded(value));
        }
        break;
      case 'arg':
        for (const { name, value } of instruction.pairs) {
          lintSecret('ARG', name, instruction);
          declared.add(name);
          const settled = around.given.get(name) ?? (value === undefined ? undefined : expanded(value));
          if (settled !== undefined && variables?.has(name) === false) variables.set(name, settled);
        }
        break;
      case 'cmd':
      case 'entrypoint':
        if (instruction.command.form === 'shell' && !hasShell) {
          report(
            rules.jsonArgsRecommended,
            `JSON arguments recommended for ${instruction.keyword} to prevent unintended behavior related to OS signals`,
            instruction,
          );
        }
        break;
      case 'shell':
        hasShell = true;
        break;
      case 'maintainer': {
        const message = 'Maintainer instruction is deprecated in favor of using label';
        report(rules.maintainerDeprecated, message, instruction);
        break;
      }
      case 'workdir': {
        const path = expanded(instruction.value);
        if (!workdirSet && !path.startsWith('/')) {
          const message = `Relative workdir ${JSON.stringify(path)} can have unexpected results if the base image changes`;
          report(rules.workdirRelativePath, message, instruction);
        }
        workdirSet = true;
        break;
      }
      case 'expose':
        for (const word of instruction.words) lintPort(expanded(word), instruction);
        break;
      case 'copy':
      case 'add':
        if (instruction.from === '')
          for (const source of instruction.sources) lintSource(source, instruction);
        break;
      default:
        break;
    }
  }
  if (variables !== undefined) around.ended(variables, hasShell);

  function expanded(word: string): string {
    return expandWatched(word, around.escape, variables ?? new Map()).text ?? '';
  }

  function lintVariables(word: string, place: Instruction): void {
    if (variables === undefined) return;
    for (const name of expandWatched(word, around.escape, variables).missing) {
      if (declared.has(name) || silentVariables.has(name)) continue;
      const meant = suggestion(name, variables.keys());
      const hint = meant === '' ? '' : ` (did you mean $${meant}?)`;
      report(rules.undefinedVar, `Usage of undefined variable '$${name}'${hint}`, place);
    }
  }

  function lintSecret(keyword: string, name: string, place: Instruction): void {
    if (!secretName.test(name) || harmlessName.test(name)) return;
    const message = `Do not use ARG or ENV instructions for sensitive data (${keyword} ${JSON.stringify(name)})`;
    report(rules.secretsUsedInArgOrEnv, message, place);
  }

  function lintPort(port: string, place: Instruction): void {
    const slash = port.lastIndexOf('/');
    const protocol = slash === -1 ? '' : port.slice(slash + 1);
    if (protocol !== protocol.toLowerCase()) {
      const message = `Defined protocol '${port}' in EXPOSE instruction should be lowercase`;
      report(rules.exposeProtoCasing, message, place);
    }
    if (port.includes(':')) {
      report(
        rules.exposeInvalidFormat,
        `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
        place,
      );
    }
  }

  function lintSource(word: string, place: Instruction): void {
    const { ignored } = around;
    // What exceptions bring back cannot be told from the names alone.
    if (ignored.isEmpty || ignored.hasExceptions) return;
    const source = posix.normalize(expanded(word)).replace(/\/$/, '');
    if (/^[a-z]+:\//.test(source)) return;
    const isRoot = source === '.' || source === '';
    if (
      isRoot
        ? !ignored.ignores('any') || !ignored.ignores('other.any')
        : !ignored.ignores(source.replace(/^\//, ''))
    ) {
      return;
    }
    const command = place.kind === 'add' ? 'Add' : 'Copy';
    const message = `Attempting to ${command} file ${JSON.stringify(isRoot ? '.' : source)} that is excluded by .dockerignore`;
    report(rules.copyIgnoredFile, message, place);
  }
}

/** The words of an instruction in which variables are replaced. */
function wordsOf(instruction: Instruction): string[] {
  switch (instruction.kind) {
    case 'env':
    case 'label':
      return instruction.pairs.flatMap(({ name, value }) => [name, value]);
    case 'arg':
      return instruction.pairs.flatMap(({ value }) => (value === undefined ? [] : [value]));
    case 'user':
    case 'stopsignal':
    case 'workdir':
      return [instruction.value];
    case 'expose':
    case 'volume':
      return instruction.words;
    case 'copy':
    case 'add': {
      const { sources, destination, chown, chmod } = instruction;
      return [...sources, destination, chown, chmod];
    }
    default:
      return [];
  }
}
