import { readFileSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';

/** The last error in a runtime's log: crun's plain lines, or runc's `{"level":"error","msg":…}` lines. */
export function lastLoggedError(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  let found: string | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('{')) found = loggedError(line) ?? found;
    else if (line.trim() !== '') found = line.trim();
  }
  return found;
}

function loggedError(line: string): string | undefined {
  try {
    const entry = JSON.parse(line) as { level?: string; msg?: string };
    return entry.level === 'error' || entry.level === 'fatal' ? entry.msg : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A runtime's message in runc's words, which Docker's clients match: the docker CLI turns "executable file not found" and
 * "no such file or directory" into exit code 127, "permission denied", "is a directory" and the like into 126.
 * @param program argv[0], which crun does not always name
 */
export function translate(message: string, program = ''): string {
  const text = message
    .trim()
    .replace(/^(?:crun|runc): /, '')
    .replace(/`([^`']*)[`']/g, '"$1"')
    .replace(
      /: ([A-Z])([a-z][a-z ]+)$/,
      (_all, first: string, rest: string) => `: ${first.toLowerCase()}${rest}`,
    );
  const isBareName = program !== '' && !program.includes('/');
  if (/^executable file "[^"]*" not found in \$PATH/.test(text)) {
    // runc looks into $PATH only for a bare name; for a path it reports what stat(2) said.
    return isBareName || program === ''
      ? `exec: "${program}": executable file not found in $PATH`
      : `exec: "${program}": stat ${program}: no such file or directory`;
  }
  if (/^open executable: (?:permission denied|operation not permitted)$/.test(text)) {
    return isBareName
      ? `exec: "${program}": executable file not found in $PATH`
      : `exec: "${program}": permission denied`;
  }
  const failedExec = /^exec: ([a-z ]+)$/.exec(text);
  return failedExec === null ? text : `exec ${program}: ${failedExec[1]}`;
}

const processFailed = 'unable to start container process: ';

/** The error of a failed create, as Docker 28 puts it. `details.exitCode` is what Docker gives the container. */
export function createError(message: string, program?: string): EngineError {
  const text = translate(message, program);
  // runc itself says all of this already.
  const detail = text.startsWith('runc create failed') ? text : `runc create failed: ${processFailed}${text}`;
  const prefix =
    'failed to create task for container: failed to create shim task: OCI runtime create failed: ';
  const isWrongType = text.includes('not a directory');
  const hint = isWrongType
    ? ': Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type'
    : '';
  return new EngineError(
    isWrongType ? 'invalid-parameter' : kindOf(text),
    `${prefix}${detail}: unknown${hint}`,
    {
      code: 'runtime-create-failed',
      details: { exitCode: isWrongType ? 127 : exitCodeOf(text) },
    },
  );
}

/** The error of a failed exec, as Docker 28 puts it. `details.exitCode` as for a create. */
export function execError(message: string, program?: string): EngineError {
  const text = translate(message, program).replace(/^exec failed: /, '');
  const detail = text.startsWith(processFailed) ? text : `${processFailed}${text}`;
  return new EngineError(kindOf(text), `OCI runtime exec failed: exec failed: ${detail}: unknown`, {
    code: 'runtime-exec-failed',
    details: { exitCode: exitCodeOf(text) },
  });
}

/** The error of another failed operation, e.g. `start`. */
export function operationError(operation: string, message: string): EngineError {
  return new EngineError(kindOf(message), `OCI runtime ${operation} failed: ${translate(message)}: unknown`, {
    code: `runtime-${operation}-failed`,
  });
}

/** Docker answers 400 to a command that cannot be run, 500 to the rest. */
function kindOf(text: string): 'invalid-parameter' | 'internal' {
  return exitCodeOf(text) === 128 ? 'internal' : 'invalid-parameter';
}

function exitCodeOf(text: string): number {
  if (/executable file not found|no such file or directory/i.test(text)) return 127;
  return /permission denied|is a directory|exec format error|operation not permitted/i.test(text) ? 126 : 128;
}
