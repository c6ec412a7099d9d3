#!/bin/bash
# For a Debian 12 machine with systemd and cgroup v2 that can be rebooted (a virtual machine): run it as root in a set-up
# checkout, reboot, run it again. The first run tests limits, OOM kills and stops; the second, what the reboot left.
# Prints `ok`/`not ok` lines and ends with the number of failures.
set -u
cd "$(dirname "$0")/../.."
failures=0
check() { # title, actual, expected
  if [ "$2" = "$3" ]; then echo "ok - $1"; else echo "not ok - $1: got [$2], wanted [$3]"; failures=$((failures + 1)); fi
}
matches() { # title, actual, pattern
  if [[ $2 =~ $3 ]]; then echo "ok - $1"; else echo "not ok - $1: got [$2], wanted /$3/"; failures=$((failures + 1)); fi
}
state=/var/lib/coracle-reboot-test
c() { ./coracle "$@"; }
c version >/dev/null || { cat /run/coracle/daemon.log; exit 1; }

if [ ! -e $state ]; then
  c image bootstrap busybox
  check 'run' "$(c run --rm busybox echo hi)" hi
  check 'cgroup version and driver' "$(c info -f '{{.CgroupVersion}} {{.CgroupDriver}}')" '2 systemd'
  check 'memory.max' "$(c run --rm -m 64m busybox cat /sys/fs/cgroup/memory.max)" 67108864
  check 'memory.swap.max' "$(c run --rm -m 64m --memory-swap 96m busybox cat /sys/fs/cgroup/memory.swap.max)" 33554432
  check 'memory.low' "$(c run --rm --memory-reservation 32m busybox cat /sys/fs/cgroup/memory.low)" 33554432
  check 'cpu.max' "$(c run --rm --cpus 0.5 busybox cat /sys/fs/cgroup/cpu.max)" '50000 100000'
  check 'cpu.weight' "$(c run --rm --cpu-shares 512 busybox cat /sys/fs/cgroup/cpu.weight)" 20
  check 'cpuset.cpus' "$(c run --rm --cpuset-cpus 1 busybox cat /sys/fs/cgroup/cpuset.cpus)" 1
  check 'pids.max' "$(c run --rm --pids-limit 42 busybox cat /sys/fs/cgroup/pids.max)" 42
  check 'own cgroup namespace' "$(c run --rm busybox cat /proc/self/cgroup)" '0::/'
  matches 'host cgroup namespace' "$(c run --rm --cgroupns host busybox cat /proc/self/cgroup)" 'coracle.*\.scope'
  check 'devices are limited' "$(c run --rm busybox sh -c 'mknod /x b 254 0 && dd if=/x of=/dev/null count=1 2>&1 | grep -o "not permitted"')" 'not permitted'
  c run --name oom -m 16m --memory-swap 16m busybox sh -c 'tail /dev/zero' 2>/dev/null
  check 'OOM kill is reported' "$(c inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom)" 'true 137'
  c run -d --name limits -m 32m busybox sleep 1000 >/dev/null
  c update -m 48m --memory-swap 64m --pids-limit 77 limits >/dev/null
  check 'update memory.max' "$(c exec limits cat /sys/fs/cgroup/memory.max)" 50331648
  check 'update pids.max' "$(c exec limits cat /sys/fs/cgroup/pids.max)" 77
  c pause limits >/dev/null
  check 'pause' "$(c inspect -f '{{.State.Status}}' limits)" paused
  c unpause limits >/dev/null
  check 'stop' "$(c stop -t 1 limits)" limits
  check 'stopped' "$(c inspect -f '{{.State.Status}} {{.State.ExitCode}}' limits)" 'exited 137'
  check 'no scope is left of it' "$(systemctl list-units --no-legend 'coracle*.scope' | wc -l)" 0
  c run -d --name always --restart always busybox sh -c 'echo up; sleep 100000' >/dev/null
  c run -d --name plain busybox sleep 100000 >/dev/null
  c run -d --name stopped --restart unless-stopped busybox sleep 100000 >/dev/null
  c stop -t 0 stopped >/dev/null
  c run --name wrote busybox sh -c 'echo kept > /kept; exit 5'
  c volume create kept-volume >/dev/null
  touch $state
else
  check 'restart=always runs again' "$(c inspect -f '{{.State.Status}}' always)" running
  sleep 2
  check 'its log goes on' "$(c logs always | grep -c up)" 2
  check 'a plain container has ended' "$(c inspect -f '{{.State.Status}} {{.State.Running}}' plain)" 'exited false'
  check 'unless-stopped stays stopped' "$(c inspect -f '{{.State.Status}}' stopped)" exited
  check 'exit codes are kept' "$(c inspect -f '{{.State.ExitCode}}' wrote)" 5
  check 'OOMKilled is kept' "$(c inspect -f '{{.State.OOMKilled}}' oom)" true
  check 'volumes are kept' "$(c volume ls -q)" kept-volume
  check 'files are kept' "$(c start wrote >/dev/null; sleep 1; c export wrote | tar -xO kept)" kept
  check 'a new container runs' "$(c run --rm busybox echo again)" again
  check 'an ended one starts again' "$(c start plain && c inspect -f '{{.State.Running}}' plain)" "plain
true"
fi
echo "$failures failures"
[ $failures -eq 0 ]
