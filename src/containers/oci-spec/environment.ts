export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Changes an environment: `NAME=value` sets (in place when it is there), a bare `NAME` removes. Order is kept, as
 * programs show it.
 */
export function changeEnvironment(base: readonly string[], changes: readonly string[]): string[] {
  const variables = new Map<string, string>();
  for (const variable of base) variables.set(nameOf(variable), variable);
  for (const change of changes) {
    if (change.includes('=')) variables.set(nameOf(change), change);
    else variables.delete(change);
  }
  return [...variables.values()];
}

function nameOf(variable: string): string {
  const end = variable.indexOf('=');
  return end === -1 ? variable : variable.slice(0, end);
}

/** What a container's first process gets: the engine's variables, overridden by the container's own. */
export function containerEnvironment(options: {
  hostname: string;
  tty: boolean;
  own: readonly string[];
  home: string;
}): string[] {
  const base = [`PATH=${defaultPath}`, `HOSTNAME=${options.hostname}`];
  if (options.tty) base.push('TERM=xterm');
  return withHome(changeEnvironment(base, options.own), options.home);
}

/** HOME from the passwd file unless it is set; the runtimes would do so too, each by its own reading of the file. */
export function withHome(environment: string[], home: string): string[] {
  return environment.some((variable) => variable.startsWith('HOME='))
    ? environment
    : [...environment, `HOME=${home}`];
}
