import type { ApiClient } from '../../client/index.ts';
import type { Cli } from '../cli.ts';

/**
 * Registers for a container's end. Resolves once the engine has taken the request, so that a start that follows cannot
 * be missed.
 * @returns A function that waits for the exit code.
 */
export async function waitForExit(
  cli: Cli,
  client: ApiClient,
  container: string,
  remove: boolean,
): Promise<() => Promise<number>> {
  const condition = remove ? 'removed' : 'next-exit';
  const response = await client.request('POST', `/containers/${container}/wait`, { query: { condition } });
  const exit = response.json<{ StatusCode: number; Error?: { Message?: string } | null }>().then(
    (result) => {
      if (result.Error?.Message) {
        cli.err(`Error waiting for container: ${result.Error.Message}\n`);
        return 125;
      }
      return result.StatusCode;
    },
    (error: Error) => {
      cli.err(`error waiting for container: ${error.message}\n`);
      return 125;
    },
  );
  return () => exit;
}
