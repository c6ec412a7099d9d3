import { EngineError } from '../../errors/index.ts';

/**
 * What is wrong with a Dockerfile. With a line it reads as Docker's errors of single instructions do, without one as those
 * of the file.
 */
export class DockerfileError extends EngineError {
  /** The text without where it is. */
  readonly problem: string;
  readonly line: number | undefined;

  constructor(problem: string, line?: number) {
    super(
      'invalid-parameter',
      line === undefined
        ? `failed to parse Dockerfile: ${problem}`
        : `dockerfile parse error line ${line}: ${problem}`,
      { code: 'bad-dockerfile', details: line === undefined ? {} : { line } },
    );
    this.name = 'DockerfileError';
    this.problem = problem;
    this.line = line;
  }
}

export function dockerfileError(problem: string, line?: number): DockerfileError {
  return new DockerfileError(problem, line);
}
