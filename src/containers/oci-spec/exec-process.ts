import type { RuntimeProcess } from '../../spec/index.ts';
import type { BuildExecProcess } from './build-spec.ts';
import { capabilitySets } from './container-spec.ts';
import { changeEnvironment, withHome } from './environment.ts';
import { exactRlimits } from './rlimits.ts';
import { resolveUserInRoot } from './users.ts';

/**
 * The process of an exec session: the container's first process, changed as asked. Another user brings its own groups
 * and HOME (unless the container set one), the rest stays; `privileged` gives all capabilities of the engine.
 */
export const buildExecProcess: BuildExecProcess = (input) => {
  const { base } = input;
  const own = input.containerConfig.Env ?? [];
  const ownHome = own.some((variable) => variable.startsWith('HOME='));
  const inherited = changeEnvironment(base.env, ownHome || input.user === '' ? [] : ['HOME']);
  const withoutTerm = own.some((variable) => variable.startsWith('TERM='))
    ? inherited
    : changeEnvironment(inherited, ['TERM']);
  const given = changeEnvironment(input.tty ? [...withoutTerm, 'TERM=xterm'] : withoutTerm, input.env ?? []);
  const resolved =
    input.user === '' ? undefined : resolveUserInRoot(input.rootPath, input.user, input.groupAdd ?? []);

  const process: RuntimeProcess = {
    ...base,
    terminal: input.tty,
    user: resolved?.user ?? base.user,
    args: input.command,
    env: withHome(given, resolved?.home ?? '/'),
    cwd: input.workingDir || base.cwd,
  };
  if (input.privileged && !input.containerPrivileged)
    process.capabilities = capabilitySets([...input.boundingCapabilities]);
  if (base.rlimits !== undefined) process.rlimits = exactRlimits(base.rlimits);
  delete process.consoleSize;
  if (input.tty && input.consoleSize !== undefined) {
    const [height, width] = input.consoleSize;
    process.consoleSize = { height, width };
  }
  return process;
};
