#!/bin/bash
# Cuts the power of a virtual machine in the middle of pull, load, commit and rmi, all at once, and looks at the next boot:
# every image must be whole (all its files, and it runs) or absent, what had ended must have lasted, nothing may be orphaned,
# and each operation must succeed when it is repeated.
#
#   power-cuts.sh VM      MOMENTS="10 20 30 …" in percent of each operation's own time, WORK=directory to keep the machine
#
# VM is a program that boots a Debian 12 under QEMU (or set $VM): `VM run [-p PKG,…] [-d DIR] [-t SECONDS] --keep DISK SCRIPT`
# copies DIR to /mnt/project of a machine on the disk file DISK (made when missing, and left), runs SCRIPT in it as root and
# prints its output. The disk must be write-through (cache=writethrough): the power goes by SIGKILL of QEMU, so what the
# machine had in its page cache is lost. The checkout must be set up and built. Prints a line for each operation and moment.
set -u
cd "$(dirname "$0")/../.."
VM=${VM:-${1:?the program that boots a machine}}
moments=${MOMENTS:-10 20 30 40 50 60 70 80 90 105}
work=${WORK:-$(mktemp -d)}
disk=$work/disk.img
packages=crun,conmon,nftables,tini,busybox-static,procps,libatomic1,docker-registry

# Runs a step inside the machine; at its line "cut now" the power goes.
step() {
  printf 'exec bash /mnt/project/tests/vm/power-cuts-inside.sh %s\n' "$*" >"$work/step"
  "$VM" run -t "${LIMIT:-1500}" -d "$work/project" -p $packages --keep "$disk" "$work/step" 2>>"$work/vm.log" | tee -a "$work/log" |
    while IFS= read -r line; do
      if [ "$line" = 'cut now' ]; then pkill -KILL -f "file=$disk,"; else printf '%s\n' "$line"; fi
    done >"$work/out"
  grep -E '^(\||not ok|prepared)' "$work/out"
  failed=$((failed + $(grep -c '^not ok' "$work/out")))
}

# The parts of the checkout that change come with each boot, so that a kept machine runs what is here now.
mkdir -p "$work/project"
cp -a coracle dist src scripts tests package.json package-lock.json "$work/project/"
failed=0
if [ ! -e "$disk" ]; then
  cp -a node_modules "$work/project/"
  step prepare
  rm -r "$work/project/node_modules"
  grep -q '^prepared' "$work/out" || { echo "the machine could not be prepared: see $work"; rm -f "$disk"; exit 1; }
fi
ended=none
echo '| operation | moment | ended before the cut | next boot |'
echo '| --- | --- | --- | --- |'
for moment in $moments; do
  step cut "$moment" "'$ended'"
  grep -q '^begun' "$work/out" || { echo "no answer from the machine: see $work"; exit 1; }
  ended="none $(sed -n 's/^ended //p' "$work/out" | tr '\n' ' ')"
done
step look "'$ended'"
echo "$failed failures"
[ $failed -eq 0 ]
