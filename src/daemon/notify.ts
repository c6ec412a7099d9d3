import { spawnSync } from 'node:child_process';

/**
 * Tells systemd how far the daemon is (sd_notify(3)); nothing outside of a unit. Node has no datagram unix sockets, so
 * systemd's own helper sends it: once at the start and once at the end.
 */
export function notifySystemd(...states: readonly string[]): void {
  if ((process.env['NOTIFY_SOCKET'] ?? '') === '') return;
  spawnSync('systemd-notify', [`--pid=${process.pid}`, ...states], { stdio: 'ignore' });
}
