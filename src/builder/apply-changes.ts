import { EngineError } from '../errors/index.ts';
import type { ApplyChanges } from '../images/index.ts';
import { DockerfileError } from './dockerfile/errors.ts';
import { parseInstruction } from './dockerfile/instructions/parse-instruction.ts';
import { parseDockerfile } from './dockerfile/parser/parse.ts';
import { expandToWords, expandWord, type ExpandOptions } from './dockerfile/shell/expand.ts';
import { applyConfig, nextWorkingDirectory, type ConfigInstruction } from './graph/apply-config.ts';

/** Those that change the configuration of what is there, and nothing else. @see moby builder/dockerfile/builder.go */
const changeNames: ReadonlySet<string> = new Set([
  'cmd',
  'entrypoint',
  'env',
  'expose',
  'healthcheck',
  'label',
  'onbuild',
  'stopsignal',
  'user',
  'volume',
  'workdir',
]);

/** `--change` of `docker commit` and `docker import`, with the instructions of Dockerfiles. */
export const applyChanges: ApplyChanges = (config, changes) => {
  if (changes.every((change) => change.trim() === '')) return config;
  try {
    const { nodes, escape } = parseDockerfile(changes.join('\n'));
    const unknown = nodes.find((node) => !changeNames.has(node.name));
    if (unknown !== undefined) throw invalid(`${unknown.name} is not a valid change command`);
    let changed = config;
    let cmdSet = false;
    for (const instruction of nodes.map((node) => parseInstruction(node, escape))) {
      const options: ExpandOptions = { escape, variables: variablesOf(changed.Env ?? []) };
      if (instruction.kind === 'workdir') {
        const value = expandWord(instruction.value, options);
        changed = { ...changed, WorkingDir: nextWorkingDirectory(changed, value) };
        continue;
      }
      ({ config: changed } = applyConfig(instruction as ConfigInstruction, {
        config: changed,
        cmdSet,
        expand: (text) => expandWord(text, options),
        expandWords: (text) => expandToWords(text, options),
      }));
      if (instruction.kind === 'cmd') cmdSet = true;
    }
    return changed;
  } catch (error) {
    // There is no file that a line could be of.
    if (error instanceof DockerfileError) throw invalid(error.problem);
    throw error;
  }
};

function variablesOf(environment: readonly string[]): Map<string, string> {
  return new Map(
    environment.map((entry) => {
      const [name = '', ...value] = entry.split('=');
      return [name, value.join('=')];
    }),
  );
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message, { code: 'bad-change' });
}
