import { existsSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Cli } from './cli.ts';
import { displayProgress, type ProgressMessage } from './progress.ts';

/** True for a directory that has a Dockerfile or a Containerfile. */
export function isBuildContext(path: string): boolean {
  return (
    (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false) &&
    (existsSync(`${path}/Dockerfile`) || existsSync(`${path}/Containerfile`))
  );
}

/**
 * Builds the image of a directory; what the build says goes to standard error, so that `run` keeps standard output for
 * the container.
 * @returns The image's id.
 */
export async function buildAndTag(cli: Cli, path: string): Promise<string> {
  const { packContext } = await import('./copy.ts');
  const directory = resolve(path);
  const ignore = existsSync(`${directory}/.dockerignore`)
    ? readFileSync(`${directory}/.dockerignore`, 'utf8')
    : '';
  const client = await cli.client();
  const response = await client.request('POST', '/build', {
    query: { dockerfile: existsSync(`${directory}/Dockerfile`) ? undefined : 'Containerfile', rm: 1 },
    body: packContext(directory, ignore),
  });
  let id = '';
  let log = '';
  const watch = async function* (): AsyncGenerator<ProgressMessage> {
    for await (const message of response.values<ProgressMessage>()) {
      if (message.stream !== undefined) log += message.stream;
      yield message;
    }
  };
  await displayProgress(cli, watch(), {
    fd: 2,
    onAux: (aux) => {
      id = (aux as { ID?: string }).ID ?? id;
    },
  });
  id ||= /Successfully built ([0-9a-f]+)/.exec(log)?.[1] ?? '';
  if (id === '') throw new Error(`the build of ${path} gave no image`);
  return id;
}
