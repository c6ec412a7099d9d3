/** Ends the command with this exit code; a message goes to standard error first. */
export class StatusError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message = '') {
    super(message);
    this.name = 'StatusError';
    this.exitCode = exitCode;
  }
}
