import type { ApiClient } from '../../client/index.ts';
import type { Cli } from '../cli.ts';

/** A terminal on both ends needs one on ours. @throws docker's text when there is none. */
export function checkTty(cli: Cli, attachStdin: boolean, tty: boolean): void {
  if (attachStdin && tty && !cli.isTerminal(0)) throw new Error('the input device is not a TTY');
}

/** Rows and columns of our terminal; zeros without one. */
export function terminalSize(cli: Cli): [number, number] {
  if (!cli.isTerminal(1)) return [0, 0];
  const [columns, rows] = process.stdout.getWindowSize();
  return [rows, columns];
}

/** Gives the container (or exec) our terminal's size, now and whenever it changes. */
export async function followTerminalSize(cli: Cli, client: ApiClient, path: string): Promise<void> {
  const resize = async (): Promise<void> => {
    const [h, w] = terminalSize(cli);
    if (h === 0 && w === 0) return;
    await client.post(`${path}/resize`, { query: { h, w } });
  };
  process.stdout.on('resize', () => void resize().catch(() => {}));
  // The process may not be there yet.
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      await resize();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10 * (attempt + 1)));
    }
  }
  cli.err('failed to resize tty, using default size\n');
}
