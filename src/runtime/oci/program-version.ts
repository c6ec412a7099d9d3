import { ProcessError } from '../../errors/index.ts';
import type { ProcessSpawner } from '../../sys/index.ts';

/** What `--version` of an OCI runtime says: `crun version 1.8.1`, `commit: f8a096b…`. */
export async function programVersion(
  spawner: Pick<ProcessSpawner, 'run'>,
  path: string,
): Promise<{ version: string; commit: string }> {
  const argv = [path, '--version'];
  const { exitCode, signal, stdout, stderr } = await spawner.run({ path, argv });
  if (exitCode !== 0) throw new ProcessError(argv, exitCode, signal === null ? null : String(signal), stderr);
  return {
    version: / version (\S+)/.exec(stdout)?.[1] ?? '',
    commit: /^commit: (\S+)/m.exec(stdout)?.[1] ?? '',
  };
}
