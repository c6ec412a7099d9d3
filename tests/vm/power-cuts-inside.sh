#!/bin/bash
# The part of power-cuts.sh that runs in the machine: `prepare`; `cut OPERATION PERCENT BEFORE`, which looks at what the last
# cut left and begins the next operation; `check BEFORE`, which only looks.
set -u
cd "$(dirname "$0")/../.."
state=/var/lib/power-cuts
data=/var/lib/coracle
remote=127.0.0.1:5001/cut:1
problems=0
c() { ./coracle "$@"; }
problem() { echo "not ok - $(cat $state/pending 2>/dev/null): $*"; problems=$((problems + 1)); }

begin() {
  mkdir -p $state
  printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:5001"}\n' $state/registry >$state/registry.yml
  docker-registry serve $state/registry.yml >/dev/null 2>&1 &
  c daemon >>$state/daemon.log 2>&1 &
  for _ in $(seq 300); do c version >/dev/null 2>&1 && return; sleep 0.2; done
  tail $state/daemon.log
  exit 1
}

# One line that stands for every file of an image: names, types, modes, owners, times, links and content.
tree() {
  local id
  rm -rf /tmp/tree && mkdir /tmp/tree
  id=$(c create "$1" true) || return 1
  c export "$id" | tar -xC /tmp/tree || return 1
  c rm "$id" >/dev/null
  (
    cd /tmp/tree || exit 1
    # Made for the container, not of the image.
    rm -rf dev proc sys .dockerenv etc/hosts etc/hostname etc/resolv.conf etc/mtab
    find . -mindepth 1 -type d -printf '%P %m %U %G\n' | sort
    find . ! -type d -printf '%P %y %m %U %G %s %T@ %l\n' | sort
    find . -type f -print0 | sort -z | xargs -0 sha256sum
  ) | sha256sum | cut -c1-64
}

# Brings about what the operation needs.
setup() {
  case $1 in
    pull | load) ;;
    rmi) c load -q -i $state/cut.tar >/dev/null ;;
    commit)
      c load -q -i $state/cut.tar >/dev/null
      c run --name changed cut:1 sh -c 'mkdir /new; for i in $(seq 300); do echo $i >/new/$i; done; cat /data/bin/[a-c]* >/new/big 2>/dev/null; rm -r /data/etc; touch -d @1 /new/*' >/dev/null
      ;;
  esac
}

perform() {
  case $1 in
    pull) c pull -q $remote ;;
    load) c load -q -i $state/cut.tar ;;
    commit) c commit changed committed:1 ;;
    # Without the client's start, which is longer than all the rest.
    rmi) curl -sf -X DELETE --unix-socket /run/coracle/coracle.sock http://engine/images/cut:1 ;;
  esac
}

result_of() { # the image that an operation makes, or removes
  case $1 in pull) echo $remote ;; commit) echo committed:1 ;; *) echo cut:1 ;; esac
}

# The image must be there, run, and have the files it should have.
whole() { # image, file with what tree() must say
  local found
  found=$(tree "$1")
  [ "$found" = "$(cat "$2")" ] || problem "$1 has other files than it should have"
  [ "$(c run --rm "$1" echo runs 2>&1)" = runs ] || problem "$1 does not run"
}

expected_tree() { case $1 in committed:1) echo $state/tree-committed ;; *) echo $state/tree ;; esac; }

blobs_are_whole() {
  local file
  for file in $data/content/blobs/sha256/*; do
    [ -e "$file" ] || continue
    [ "$(sha256sum <"$file" | cut -c1-64)" = "${file##*/}" ] || problem "blob ${file##*/} has other content"
  done
}

# With every image and container removed, nothing may be left on disk.
nothing_left() {
  local directory left
  c ps -aq | xargs -r ./coracle rm -f >/dev/null
  # A parent goes when its child has gone.
  for _ in 1 2 3 4 5 6; do
    c images -aq | sort -u | xargs -r ./coracle rmi -f >/dev/null 2>&1
    [ -n "$(ls -A $data/content/blobs/sha256)" ] || break
  done
  sleep 1
  for directory in content/blobs/sha256 content/ingest overlay2/layers overlay2/active overlay2/trash; do
    left=$(ls -A $data/$directory | head -n 3 | tr '\n' ' ')
    [ -z "$left" ] || problem "left in $directory: $left"
  done
}

look() { # whether the operation had ended before the cut
  local before=$1 operation percent image listed after=absent name
  [ -e $state/pending ] || return
  read -r operation percent <$state/pending
  image=$(result_of "$operation")
  listed=$(c images --format '{{.Repository}}:{{.Tag}}' | sort | tr '\n' ' ')
  for name in $listed; do
    [ "$name" = "$image" ] && after=whole
    case $name in
      cut:1 | committed:1 | $remote) whole "$name" "$(expected_tree "$name")" ;;
      *) problem "an image nobody made: $name" ;;
    esac
  done
  [ "$operation" != commit ] || [[ " $listed" == *' cut:1 '* ]] || problem 'the image of the container is gone'
  if [ "$before" = ended ]; then
    case $operation/$after in rmi/whole) problem 'it was removed, and is there' ;; rmi/absent) ;; */absent) problem 'it was there, and is gone' ;; esac
  fi
  blobs_are_whole
  c system df >/dev/null || problem 'system df fails'
  if [ "$operation/$after" = rmi/absent ]; then
    [ "$(c rmi cut:1 2>&1)" = 'Error response from daemon: No such image: cut:1' ] || problem 'rmi again'
  else
    perform "$operation" >/tmp/perform 2>&1 || problem "repeated: $(tail -n 1 /tmp/perform)"
  fi
  [ "$after" = whole ] || [ "$operation" = rmi ] || whole "$image" "$(expected_tree "$image")"
  nothing_left
  echo "| $operation | $percent % of $(cat "$state/ms-$operation") ms | $([ "$before" = ended ] && echo yes || echo no) | $after | $([ $problems = 0 ] && echo yes || echo "$problems PROBLEMS") |"
  rm -f $state/pending
}

prepare() {
  local operation began
  c image bootstrap busybox >/dev/null || return 1
  mkdir -p /tmp/context/data /tmp/context/small
  mkdir /tmp/context/data/bin && cp -a /usr/bin/[a-f]* /tmp/context/data/bin
  cp -a /etc /tmp/context/data/etc
  for i in $(seq 500); do echo "file $i" >/tmp/context/small/$i; done
  printf 'FROM busybox\nCOPY data /data\nCOPY small /small\nRUN mkdir /made && ln -s /data /made/link && touch /made/file && mkfifo /made/pipe\n' >/tmp/context/Dockerfile
  c build -q -t cut:1 /tmp/context >/dev/null || return 1
  c save -o $state/cut.tar cut:1 && c tag cut:1 $remote && c push -q $remote >/dev/null || return 1
  tree cut:1 >$state/tree
  nothing_left
  for operation in pull load commit rmi; do
    setup $operation
    began=$(date +%s%N)
    perform $operation >/dev/null || return 1
    echo $((($(date +%s%N) - began) / 1000000)) >$state/ms-$operation
    [ $operation != commit ] || tree committed:1 >$state/tree-committed
    nothing_left
  done
  echo "prepared: $(du -m $state/cut.tar | cut -f1) MB, $(find /tmp/context | wc -l) files; ms: $(tail -qn 1 $state/ms-* | tr '\n' ' ')"
  sync
}

begin
case $1 in
  prepare) prepare ;;
  check) look "$2" ;;
  cut)
    look "$4"
    setup "$2"
    echo "$2 $3" >$state/pending
    sync
    echo begun
    (perform "$2" >/tmp/perform 2>&1 && echo ended) &
    sleep "$(awk "BEGIN { print $(cat "$state/ms-$2") * $3 / 100000 }")"
    echo 'cut now'
    sleep 100
    ;;
esac
