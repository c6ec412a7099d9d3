import { EngineError } from '../../../errors/index.ts';
import { locate } from '../location.ts';
import { parseDockerfile } from '../parser/parse.ts';
import type { Dockerfile, Stage } from './instruction.ts';
import { argPairs, flagsOf, located, parseInstruction, rangeOf, writtenAt } from './parse-instruction.ts';

const stageName = /^[a-z][a-z0-9-_.]*$/;

/** Reads a Dockerfile into stages. @throws {EngineError} `invalid-parameter` with Docker's text */
export function readDockerfile(text: string, name?: string): Dockerfile {
  const { nodes, escape, check, emptyContinuations, warnings } = parseDockerfile(text, name);
  const file: Dockerfile = { escape, metaArgs: [], stages: [], check, emptyContinuations, warnings };
  for (const node of nodes) {
    if (node.name === 'from') {
      file.stages.push(located(node, () => readStage(node)));
      continue;
    }
    const stage = file.stages.at(-1);
    if (stage !== undefined) {
      stage.instructions.push(parseInstruction(node, escape));
    } else if (node.name === 'arg') {
      const args = located(node, () => argPairs({ node, escape }));
      file.metaArgs.push(...args.map((arg) => ({ ...arg, ...writtenAt(node) })));
    } else {
      // An unknown word is the better explanation.
      parseInstruction(node, escape);
      const error = new EngineError('invalid-parameter', 'no build stage in current context');
      locate(error, rangeOf(node));
      throw error;
    }
  }
  if (file.stages.length === 0) {
    throw new EngineError('invalid-parameter', 'no build stage in current context');
  }
  return file;
}

function readStage(node: Parameters<typeof flagsOf>[0]): Stage {
  const words = node.rest.split(/\s+/).filter((word) => word !== '');
  const [base = '', as, name = ''] = words;
  if (words.length !== 1 && (words.length !== 3 || as?.toLowerCase() !== 'as')) {
    throw new Error('FROM requires either one or three arguments');
  }
  const stage = name.toLowerCase();
  if (words.length === 3 && !stageName.test(stage)) {
    throw new Error(
      `invalid name for build stage: ${JSON.stringify(name)}, name can't start with a number or contain symbols`,
    );
  }
  const platform = flagsOf(node).text('platform');
  const written = { as: as ?? '', name };
  return { ...writtenAt(node), written, base, name: stage, platform, instructions: [] };
}
