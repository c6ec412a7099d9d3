import { StatusError } from './errors.ts';
import type { Cli } from './cli.ts';

/** Asks before something is removed. Anything but `y` or `yes` ends the command quietly with exit code 0, as docker does. */
export async function confirm(cli: Cli, question: string): Promise<void> {
  const answer = await ask(cli, `${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new StatusError(0);
}

/** One line of standard input; '' at its end. */
export async function ask(cli: Cli, question: string): Promise<string> {
  cli.out(question);
  let text = '';
  for await (const chunk of process.stdin.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  const end = text.indexOf('\n');
  if (end !== -1 && end + 1 < text.length) process.stdin.unshift(Buffer.from(text.slice(end + 1)));
  return end === -1 ? text : text.slice(0, end);
}

const interrupt = '\x03';
const endOfInput = '\x04';
const eraseLine = '\x15';
const backspaces = ['\b', '\x7f'];

/** A line that the terminal does not show. @throws {StatusError} with 130 on Ctrl-C */
export async function askSecret(cli: Cli, question: string): Promise<string> {
  const { stdin } = process;
  let secret: string[] = [];
  stdin.setRawMode(true);
  try {
    cli.out(question);
    for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
      for (const key of String(chunk)) {
        if (key === '\r' || key === '\n' || key === endOfInput) return secret.join('');
        if (key === interrupt) throw new StatusError(130);
        if (key === eraseLine) secret = [];
        else if (backspaces.includes(key)) secret.pop();
        else secret.push(key);
      }
    }
    return secret.join('');
  } finally {
    stdin.setRawMode(false);
    cli.out('\n');
  }
}
