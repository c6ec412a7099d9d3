import { readFileSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';

/** The last error in a runtime's log (`--log-format json`: crun and runc write `{"level":"error","msg":…}` lines). */
export function lastLoggedError(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  let found: string | undefined;
  for (const line of text.split('\n')) {
    try {
      const entry = JSON.parse(line) as { level?: string; msg?: string };
      if (entry.level === 'error' && typeof entry.msg === 'string') found = entry.msg;
    } catch {
      // Not a whole line, or not JSON: some runtimes print banners.
    }
  }
  return found;
}

/**
 * A runtime's message in runc's words, which Docker's clients match: the docker CLI turns "executable file not found" and
 * "no such file or directory" into exit code 127, "permission denied", "is a directory" and the like into 126.
 */
export function translate(message: string): string {
  const text = message.trim().replace(/^(?:crun|runc): /, '');
  const notInPath = /executable file [`']([^']*)' not found in \$PATH(?:: .*)?$/s.exec(text);
  if (notInPath !== null) {
    const program = notInPath[1] as string;
    // runc looks into $PATH only for a bare name; for a path it reports what stat(2) said.
    return program.includes('/')
      ? `exec: "${program}": stat ${program}: no such file or directory`
      : `exec: "${program}": executable file not found in $PATH`;
  }
  const failedExec =
    /^(?:exec|open executable|cannot stat executable|stat) [`'"]?([^`'":]+)['"]?: (.+)$/is.exec(text);
  if (failedExec !== null) return `exec: "${failedExec[1]}": ${lowerFirst(failedExec[2] as string)}`;
  const withPath = /^(.*) [`']([^']*)': ([A-Z][a-z].*)$/s.exec(text);
  if (withPath !== null) return `${withPath[1]} "${withPath[2]}": ${lowerFirst(withPath[3] as string)}`;
  return text.replace(
    /: ([A-Z])([a-z ]+)$/,
    (_all, first: string, rest: string) => `: ${first.toLowerCase()}${rest}`,
  );
}

const processFailed = 'unable to start container process: ';

/** The error of a failed create, as Docker 28 puts it. */
export function createError(message: string): EngineError {
  const text = translate(message);
  const prefix =
    'failed to create task for container: failed to create shim task: OCI runtime create failed: ';
  // runc itself says all of this already.
  const detail = text.startsWith('runc create failed') ? text : `runc create failed: ${processFailed}${text}`;
  return new EngineError(kindOf(text), `${prefix}${detail}: unknown`, { code: 'runtime-create-failed' });
}

/** The error of a failed exec, as Docker 28 puts it. */
export function execError(message: string): EngineError {
  const text = translate(message).replace(/^exec failed: /, '');
  const detail = text.startsWith(processFailed) ? text : `${processFailed}${text}`;
  return new EngineError(kindOf(text), `OCI runtime exec failed: exec failed: ${detail}: unknown`, {
    code: 'runtime-exec-failed',
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
  return /executable file not found|no such file or directory|permission denied|is a directory|exec format error/i.test(
    text,
  )
    ? 'invalid-parameter'
    : 'internal';
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
