import type { ApiRequest } from '../../client/index.ts';
import { registryConfig } from '../auth.ts';
import type { Cli } from '../cli.ts';
import { StatusError } from '../errors.ts';
import type { ProgressMessage } from '../progress.ts';
import type { BuiltImage, Target } from './outputs.ts';
import type { BuildProgress } from './progress.ts';
import type { SolveStatus } from './solve-status.ts';

interface BuildMessage extends ProgressMessage {
  trace?: SolveStatus;
  /** Where in the Dockerfile an error comes from. */
  source?: string;
  /** To `--call`. */
  answer?: unknown;
  result?: Built;
}

interface Built {
  /** None when nothing was built. */
  images: readonly BuiltImage[];
  /** As Builder.build() tells them. */
  targets: readonly (Target | null)[];
}

/** What a build gave. */
export interface Sent extends Built {
  answer: unknown;
}

/** Sends a build to our engine and shows what it does. @throws {StatusError} when it fails */
export async function sendBuild(cli: Cli, request: ApiRequest, progress: BuildProgress): Promise<Sent> {
  const client = await cli.client();
  let built: Built = { images: [], targets: [] };
  let answer: unknown;
  try {
    const headers = { ...request.headers, 'X-Registry-Config': await registryConfig(cli) };
    const response = await client.request('POST', '/coracle/build', { ...request, headers });
    for await (const message of response.values<BuildMessage>()) {
      if (message.trace !== undefined) progress.update(message.trace);
      answer = message.answer ?? answer;
      built = message.result ?? built;
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
  return { ...built, answer };
}
