import type { ApiClient } from '../../client/index.ts';

const forwarded: readonly NodeJS.Signals[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
  'SIGTSTP',
  'SIGWINCH',
];

/** Sends every signal that we get on to the container, from now on. */
export function forwardSignals(client: ApiClient, container: string): void {
  for (const signal of forwarded) {
    process.on(signal, () => {
      void client
        .post(`/containers/${container}/kill`, { query: { signal: signal.slice(3) } })
        .catch(() => {});
    });
  }
}
