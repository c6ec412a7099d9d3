import { existsSync, statSync } from 'node:fs';
import type { Cli } from './cli.ts';

/** True for a directory that has a Dockerfile or a Containerfile. */
export function isBuildContext(path: string): boolean {
  return (
    (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false) &&
    (existsSync(`${path}/Dockerfile`) || existsSync(`${path}/Containerfile`))
  );
}

export async function buildAndTag(cli: Cli, path: string): Promise<string> {
  void cli;
  throw new Error(`cannot build ${path}`);
}
