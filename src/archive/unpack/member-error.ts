import { SyscallError, isEngineError } from '../../errors/index.ts';
import { badArchive } from '../tar/header.ts';

/** Failures of which the archive is innocent. */
const machineErrnos = new Set([
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'ENOMEM',
  'EMFILE',
  'ENFILE',
  'EROFS',
  'EACCES',
  'EPERM',
]);

/** What the kernel refuses of a name, number or size in the archive, in words that do not name the host's paths. */
export function memberError(error: unknown, name: string): unknown {
  const isOurs = isEngineError(error) && !(error instanceof SyscallError);
  const { code } = error as { code?: unknown };
  if (isOurs || typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code) || machineErrnos.has(code))
    return error;
  const shown = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  return badArchive(`the member ${shown} cannot be made: ${code}`, { errno: code });
}
