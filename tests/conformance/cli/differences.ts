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
  'image events': {
    why: 'events of what commit and build create since 27.0',
    stdout:
      'tag {"a":"b","name":"P:1"}\nimport {"a":"b","name":"sha256:ID64"}\ntag {"a":"b","name":"P:2"}\nsave {"a":"b","name":"sha256:ID64"}\nuntag {"a":"b","name":"sha256:ID64"}\nuntag {"a":"b","name":"sha256:ID64"}\nload {"a":"b","name":"sha256:ID64"}\ncreate {"a":"b","name":"sha256:ID64"}\ntag {"a":"b","name":"P:3"}\nuntag {"a":"b","name":"sha256:ID64"}\nuntag {"a":"b","name":"sha256:ID64"}\n',
  },
  'image filters': {
    why: 'full names match since 29.x',
    stdout:
      'before=P:2\nP:1\nP:1b\nsince=P:1\nP/x:3\nP:2\nsince=P:1 -f before=P/x:3\nP:2\nlabel=n=1\nP:1\nP:1b\nlabel=n\nP:1\nP:1b\nP:2\nlabel=n -f label=n=2\nP:2\nlabel=o\ndangling=false\nP/x:3\nP:1\nP:1b\nP:2\nbefore=P:none\nreference=P\nP:1\nP:1b\nP:2\nreference=P:1*\nP:1\nP:1b\nreference=P:?\nP:1\nP:2\nreference=P/*\nP/x:3\nreference=*/x\nP/x:3\nreference=P*\nP:1\nP:1b\nP:2\nreference=P:[12]\nP:1\nP:2\nreference=P:[!2]\nP:2\nreference=P:{1,2}\nreference=**\nP:1\nP:1b\nP:2\nreference=P/**\nP/x:3\nreference=docker.io/library/P:1\nP:1\nreference=[\n',
  },
  'isolation mount propagation': {
    why: 'crun makes the root private where runc leaves it a slave of the host; /proc/interrupts is masked since 28.0',
    stdout:
      '/\n/dev\n/dev/mqueue\n/dev/pts\n/dev/shm\n/etc/hostname\n/etc/hosts\n/etc/resolv.conf\n/private\n/proc\n/proc/acpi\n/proc/bus\n/proc/fs\n/proc/interrupts\n/proc/irq\n/proc/keys\n/proc/sys\n/proc/timer_list\n/sys\n/sys/firmware\n/sys/fs/cgroup\n',
  },
};
