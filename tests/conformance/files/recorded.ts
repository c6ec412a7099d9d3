import type { Outcome } from './operations.ts';

/** Near copies of another operation's outcome, which only the comparison with a dockerd looks at. */
const left =
  /^(?:export of a container that never ran|cp \/k\/ -|cp \/k\/\. -|cp -a \/k -|cp in: files, as they are)$/;

/** What is recorded of a run: all that does not depend on the busybox of the machine. */
export function recorded(outcomes: Readonly<Record<string, Outcome>>): Record<string, Outcome> {
  const kept = Object.entries(outcomes).filter(([name]) => !left.test(name));
  return Object.fromEntries(
    kept.map(([name, outcome]): [string, Outcome] => {
      if (name === 'commit: the configuration') {
        const lines = (outcome as readonly string[]).filter((line) => !line.startsWith('Size: '));
        return [name, lines.slice(0, -1)];
      }
      if (name !== 'export') return [name, outcome];
      return [name, Object.fromEntries(Object.entries(outcome).filter(([path]) => path.startsWith('k/')))];
    }),
  );
}
