import type { ApiRequest } from '../../client/index.ts';
import type { Cli } from '../cli.ts';
import { StatusError } from '../errors.ts';
import type { ProgressMessage } from '../progress.ts';
import type { BuildProgress } from './progress.ts';
import type { SolveStatus } from './solve-status.ts';

interface BuildMessage extends ProgressMessage {
  trace?: SolveStatus;
  /** Where in the Dockerfile an error comes from. */
  source?: string;
}

/** Sends a build to our engine and shows what it does. @returns the image's id @throws {StatusError} when it fails */
export async function sendBuild(cli: Cli, request: ApiRequest, progress: BuildProgress): Promise<string> {
  const client = await cli.client();
  let id = '';
  try {
    const response = await client.request('POST', '/coracle/build', request);
    for await (const message of response.values<BuildMessage>()) {
      if (message.trace !== undefined) progress.update(message.trace);
      id = (message.aux as { ID?: string } | undefined)?.ID ?? id;
      if (message.error === undefined) continue;
      const code = message.errorDetail?.code ?? 0;
      progress.end({ source: message.source });
      throw new StatusError(code === 0 ? 1 : Math.min(code, 255), `ERROR: failed to solve: ${message.error}`);
    }
  } catch (error) {
    if (!(error instanceof StatusError)) progress.end({ source: undefined });
    throw error;
  }
  progress.end();
  return id;
}
