/** What a person reads; for files as Go says it: `open /x: no such file or directory`. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, code, syscall, path } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined || !message.startsWith(`${code}: `)) return message;
  const why =
    code === 'EISDIR' ? 'is a directory' : message.slice(code.length + 2).split(`, ${syscall}`, 1)[0];
  return path === undefined ? `${syscall}: ${why}` : `${syscall} ${path}: ${why}`;
}

/** Ends the command with this exit code; a message goes to standard error first. */
export class StatusError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message = '') {
    super(message);
    this.name = 'StatusError';
    this.exitCode = exitCode;
  }
}
