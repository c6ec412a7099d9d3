#!/bin/bash
# Cuts the power of a virtual machine in the middle of pull, load, commit and rmi, and looks at the next boot: every image
# must be whole or absent, nothing may be orphaned, and the operation must succeed when it is repeated.
#
#   power-cuts.sh VM [OPERATION ...]      MOMENTS="10 20 30 …" in percent of the operation's own time, WORK=directory
#
# VM is a program that boots a Debian 12 under QEMU (or set $VM): `VM run [-p PKG,…] [-d DIR] [-t SECONDS] --keep DISK SCRIPT`
# copies DIR to /mnt/project of a machine on the disk file DISK (made when missing, and left), runs SCRIPT in it as root and
# prints its output. The disk must be write-through (cache=writethrough): the power goes by SIGKILL of QEMU, so what the
# machine had in its page cache is lost. The checkout must be set up and built. Prints a line for each moment.
set -u
cd "$(dirname "$0")/../.."
if [ -z "${VM:-}" ]; then VM=${1:?the program that boots a machine}; shift; fi
operations=${*:-pull load commit rmi}
moments=${MOMENTS:-5 15 25 35 45 55 65 75 90 105}
work=${WORK:-$(mktemp -d)}
mkdir -p "$work"
disk=$work/disk.img
packages=crun,conmon,nftables,tini,busybox-static,procps,libatomic1,docker-registry

# Runs a step inside the machine; at its line "cut now" the power goes.
step() {
  printf 'exec bash /mnt/project/tests/vm/power-cuts-inside.sh %s\n' "$*" >"$work/step"
  "$VM" run -t 600 -d "$work/project" -p $packages --keep "$disk" "$work/step" 2>>"$work/vm.log" | tee -a "$work/log" |
    while IFS= read -r line; do
      if [ "$line" = 'cut now' ]; then pkill -KILL -f "file=$disk,"; else printf '%s\n' "$line"; fi
    done
}

# The parts of the checkout that change come with each boot, so that a kept machine runs what is here now.
mkdir -p "$work/project"
cp -a coracle dist src scripts tests package.json package-lock.json "$work/project/"
if [ ! -e "$disk" ]; then
  cp -a node_modules "$work/project/"
  step prepare | tee "$work/out"
  rm -r "$work/project/node_modules"
  grep -q '^prepared' "$work/out" || { echo "the machine could not be prepared: see $work"; rm -f "$disk"; exit 1; }
fi

failed=0
before=none
echo '| operation | moment | ended before the cut | next boot | repeated |'
echo '| --- | --- | --- | --- | --- |'
for operation in $operations; do
  for moment in $moments; do
    step cut "$operation" "$moment" "$before" >"$work/out" 2>&1
    grep '^|' "$work/out"
    grep -q '^not ok' "$work/out" && { grep '^not ok' "$work/out"; failed=$((failed + 1)); }
    grep -q '^begun' "$work/out" || { echo "no answer from the machine: see $work/log"; exit 1; }
    if grep -q '^ended' "$work/out"; then before=ended; else before=interrupted; fi
  done
done
step check "$before" >"$work/out" 2>&1
grep '^|' "$work/out"
grep -q '^not ok' "$work/out" && { grep '^not ok' "$work/out"; failed=$((failed + 1)); }
echo "$failed failures"
[ $failed -eq 0 ]
