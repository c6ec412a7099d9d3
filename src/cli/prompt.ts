import { StatusError } from './errors.ts';
import type { Cli } from './cli.ts';

/** Asks before something is removed. Anything but `y` or `yes` ends the command quietly with exit code 0, as docker does. */
export async function confirm(cli: Cli, question: string): Promise<void> {
  cli.out(`${question} [y/N] `);
  const answer = await firstLine();
  if (!/^y(es)?$/i.test(answer.trim())) throw new StatusError(0);
}

async function firstLine(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return text.split('\n', 1)[0] ?? '';
}
