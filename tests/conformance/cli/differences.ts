import type { CaseOutcome } from './run-case.ts';

/**
 * Where our answer is not the recorded dockerd's (20.10, Debian 12), and why. Mostly texts that Docker changed since: we
 * answer as a current one does.
 */
export const differences: Record<string, { why: string } & Partial<CaseOutcome>> = {
  'run runtime unknown': {
    why: 'text since 24.0',
    stderr: 'docker: Error response from daemon: unknown or invalid runtime name: nosuch\n',
  },
  'kill not running': {
    why: 'text since 25.0',
    stdout: 'Error response from daemon: cannot kill container: P: container ID is not running\nP\n',
  },
  'kill bad signal': {
    why: 'text since 25.0',
    stderr: 'Error response from daemon: cannot kill container: P: Invalid signal: NOSUCH\n',
  },
  'ps bad filter': {
    why: 'text since 23.0',
    stderr:
      "Error response from daemon: invalid filter 'nosuch'\nError response from daemon: invalid filter 'status=nosuch'\n",
  },
  'exec missing program': {
    why: 'a missing program ends exec with 127 since 23.0, as it does run',
    stdout:
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuchprogram": executable file not found in $PATH: unknown\r\n127\nOCI runtime exec failed: exec failed: unable to start container process: exec: "/etc": permission denied: unknown\r\n126\nP\n',
  },
  'load not an archive': {
    why: 'dockerd shows the exit status of its own unpacking child',
    stderr: 'invalid tar archive: unexpected end of the archive\n',
  },
  'isolation mount propagation': {
    why: 'crun makes the root private where runc leaves it a slave of the host; /proc/interrupts is masked since 28.0',
    stdout:
      '/\n/dev\n/dev/mqueue\n/dev/pts\n/dev/shm\n/etc/hostname\n/etc/hosts\n/etc/resolv.conf\n/private\n/proc\n/proc/acpi\n/proc/bus\n/proc/fs\n/proc/interrupts\n/proc/irq\n/proc/keys\n/proc/sys\n/proc/timer_list\n/sys\n/sys/firmware\n/sys/fs/cgroup\n',
  },
};
