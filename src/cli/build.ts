import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ApiRequest } from '../client/index.ts';
import { ensureBases } from './base-image.ts';
import type { Cli } from './cli.ts';
import { displayProgress, type ProgressMessage } from './progress.ts';

/** True for a directory that has a Dockerfile or a Containerfile. */
export function isBuildContext(path: string): boolean {
  return (
    (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false) && dockerfileIn(path) !== undefined
  );
}

/** The name of a directory's Dockerfile. */
export function dockerfileIn(directory: string): string | undefined {
  return ['Dockerfile', 'dockerfile', 'Containerfile'].find((name) => existsSync(join(directory, name)));
}

/**
 * Builds the image of a directory; what the build says goes to standard error, so that `run` keeps standard output for
 * the container.
 * @returns The image's id.
 */
export async function buildAndTag(cli: Cli, path: string): Promise<string> {
  const { packContext } = await import('./context.ts');
  const directory = resolve(path);
  const dockerfile = dockerfileIn(directory) ?? 'Dockerfile';
  await ensureBases(cli, readFileSync(join(directory, dockerfile), 'utf8'));
  const id = await requestBuild(
    cli,
    { query: { dockerfile, rm: 1 }, body: packContext(directory, dockerfile) },
    2,
  );
  if (id === '') throw new Error(`the build of ${path} gave no image`);
  return id;
}

/** Sends a build and shows what it says. @returns the image's id, '' when the engine did not tell */
export async function requestBuild(cli: Cli, request: ApiRequest, fd: 1 | 2, quiet = false): Promise<string> {
  const client = await cli.client();
  const response = await client.request('POST', '/build', request);
  let id = '';
  let log = '';
  const watch = async function* (): AsyncGenerator<ProgressMessage> {
    for await (const message of response.values<ProgressMessage>()) {
      if (message.stream !== undefined) log = (log + message.stream).slice(-4096);
      yield message;
    }
  };
  await displayProgress(cli, watch(), {
    fd,
    quiet,
    onAux: (aux) => {
      id = (aux as { ID?: string }).ID ?? id;
    },
  });
  return (
    id || (/sha256:[0-9a-f]{64}/.exec(log)?.[0] ?? /Successfully built ([0-9a-f]+)/.exec(log)?.[1] ?? '')
  );
}
