import { c, type CliCase } from '../cli-case.ts';

/** Isolation, as a process inside sees it. */
export const isolationCases: CliCase[] = [
  c(
    'isolation namespaces',
    'for n in mnt net pid ipc uts cgroup user; do inside=$(docker run --rm $IMG readlink /proc/self/ns/$n); [ "$inside" = "$(readlink /proc/self/ns/$n)" ] && echo $n host || echo $n own; done',
  ),
  c(
    'isolation exec joins the namespaces',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P sh -c "for n in mnt net pid ipc uts cgroup user; do [ \\"\\$(readlink /proc/self/ns/\\$n)\\" = \\"\\$(readlink /proc/1/ns/\\$n)\\" ] && echo \\$n; done"; docker rm -f $P',
  ),
  c(
    'isolation mount propagation',
    'docker run --rm -v $PWD:/private $IMG sh -c "cut -d\\" \\" -f5,7- /proc/1/mountinfo | grep -v /sys/fs/cgroup/ | sed \\"s/ - .*//; s/:[0-9]*/:N/g\\" | sort"',
  ),
  c(
    'isolation exec descriptors',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P ls /proc/1/fd /proc/self/fd; docker exec -d $P sh -c "ls /proc/self/fd > /fds"; sleep 0.4; docker exec $P cat /fds; docker rm -f $P',
  ),
  c(
    'isolation environment of pid 1',
    'docker run --rm -h box -e A=1 $IMG sh -c "tr \\"\\\\0\\" \\"\\\\n\\" < /proc/1/environ | sort"',
  ),
  c(
    'isolation environment of exec',
    'docker run -d --name $P -h box -e A=1 $IMG sleep 100 >/dev/null; docker exec -e B=2 $P env | sort; docker exec -t $P env | grep TERM; docker rm -f $P',
  ),
  c('isolation oom score', 'docker run --rm $IMG cat /proc/1/oom_score_adj'),
  c('isolation oom score given', 'docker run --rm --oom-score-adj 300 $IMG cat /proc/1/oom_score_adj'),
  c(
    'isolation exec oom score',
    'docker run -d --name $P --oom-score-adj 300 $IMG sleep 100 >/dev/null; docker exec $P cat /proc/self/oom_score_adj; docker rm -f $P',
  ),
  c('isolation umask', 'docker run --rm $IMG sh -c "umask; grep Umask /proc/1/status"'),
  c(
    'isolation exec umask',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P sh -c "umask"; docker rm -f $P',
  ),
  c('isolation signals', 'docker run --rm $IMG grep -E "Sig(Blk|Ign)|ShdPnd" /proc/self/status'),
  c(
    'isolation exec signals',
    'docker run -d --name $P $IMG sleep 100 >/dev/null; docker exec $P grep -E "Sig(Blk|Ign)" /proc/self/status; docker rm -f $P',
  ),
  c(
    'isolation session and group',
    'docker run --rm $IMG sh -c "cut -d\\" \\" -f1,4-7 /proc/1/stat"; docker run --rm -t $IMG sh -c "cut -d\\" \\" -f1,4-6 /proc/1/stat"',
  ),
  c('isolation keyring', 'docker run --rm $IMG cat /proc/keys'),
  c(
    'isolation cgroup path',
    'docker run --rm $IMG sh -c "grep -E \\":(memory|pids):\\" /proc/self/cgroup | cut -d: -f3 | sed \\"s,^/[^/]*/,/PARENT/,; s/[0-9a-f]\\\\{64\\\\}/ID/\\""',
  ),
  c(
    'isolation cgroup own',
    'docker run --rm --cgroupns private $IMG sh -c "grep -E \\":(memory|pids):\\" /proc/self/cgroup | cut -d: -f3"',
  ),
  c(
    'isolation cgroup read-only',
    'docker run --rm $IMG sh -c "mkdir /sys/fs/cgroup/memory/x 2>&1; grep cgroup /proc/mounts | grep -vc ro,"',
  ),
  c(
    'isolation host processes unseen',
    'docker run --rm $IMG sh -c "echo /proc/[0-9]*"; docker run --rm $IMG sh -c "kill -0 2; ls /proc/1/root/proc/1/cwd/bin/busybox"',
  ),
  c(
    'isolation process limits',
    'docker run --rm $IMG grep -E "Max (msgqueue|locked|nice|realtime pri)" /proc/1/limits',
  ),
];
