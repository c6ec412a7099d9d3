#!/bin/bash
# The part of power-cuts.sh that runs in the machine: `prepare`; `cut PERCENT BEFORE`, which looks at what the last cut left
# and begins the operations for the next; `look BEFORE`, which only looks. BEFORE: the operations that had ended, or `none`.
set -u
cd "$(dirname "$0")/../.."
state=/var/lib/power-cuts
data=/var/lib/coracle
remote=127.0.0.1:5001/pull:1
operations='pull load commit rmi'
problems=0
problem() {
  echo "not ok - $*"
  problems=$((problems + 1))
}

# The API without a client, whose start takes longer here than most that is asked.
api() { # method, path, more of curl
  local method=$1 path=$2
  shift 2
  curl -sf -X "$method" --unix-socket /run/coracle/coracle.sock "$@" "http://engine$path"
}

begin() {
  mkdir -p $state
  printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:5001"}\n' $state/registry >$state/registry.yml
  docker-registry serve $state/registry.yml >/dev/null 2>&1 &
  ./coracle daemon >>$state/daemon.log 2>&1 &
  for _ in $(seq 600); do
    api GET /_ping >/dev/null && return
    sleep 0.2
  done
  tail $state/daemon.log
  exit 1
}

# What an operation makes, or removes.
image_of() { case $1 in pull) echo $remote ;; commit) echo committed:1 ;; *) echo "$1:1" ;; esac; }

images() { api GET '/images/json?all=1' | grep -o '"RepoTags":\[[^]]*\]' | grep -o '"[^"]*:1"' | tr -d '"' | sort; }

load() { api POST '/images/load?quiet=1' -H 'Content-Type: application/x-tar' --data-binary @$state/"$1".tar >/dev/null; }

# One line that stands for every file of an image: names, types, modes, owners, times, links and content.
tree() {
  local id
  rm -rf /tmp/tree && mkdir /tmp/tree
  id=$(api POST /containers/create -H 'Content-Type: application/json' -d "{\"Image\":\"$1\",\"Cmd\":[\"true\"]}" | grep -o '[0-9a-f]\{64\}') || return 1
  api GET "/containers/$id/export" | tar -xC /tmp/tree || return 1
  api POST "/containers/$id/start" && [ "$(api POST "/containers/$id/wait")" = '{"StatusCode":0}' ] || problem "$1 does not run"
  api DELETE "/containers/$id"
  (
    cd /tmp/tree || exit 1
    # Made for the container, not of the image.
    rm -rf dev proc sys .dockerenv etc
    find . -mindepth 1 -type d -printf '%P %m %U %G\n' | sort
    find . ! -type d -printf '%P %y %m %U %G %s %T@ %l\n' | sort
    find . -type f -print0 | sort -z | xargs -0 sha256sum
  ) | sha256sum | cut -c1-64
}

# The image must have the files it should have, and run.
whole() {
  local found
  found=$(tree "$1")
  [ "${found: -64}" = "$(cat "$state/tree-${1//\//-}")" ] && [ ${#found} = 64 ] || problem "$1: ${found:-its files cannot be read}"
}

setup() {
  load rmi
  load base
  api POST '/containers/create?name=changed' -H 'Content-Type: application/json' -d '{"Image":"base:1","Cmd":["sh","-c","mkdir /new; for i in $(seq 300); do echo $i >/new/$i; done; cat /files/1* >/new/large; rm -r /files/2*; touch -d @1 /new/*"]}' >/dev/null
  api POST /containers/changed/start
  api POST /containers/changed/wait >/dev/null
}

perform() {
  case $1 in
    pull) api POST "/images/create?fromImage=${remote%:*}&tag=1" >/tmp/pulled && ! grep -q errorDetail /tmp/pulled ;;
    load) load load ;;
    commit) api POST '/commit?container=changed&repo=committed&tag=1' >/dev/null ;;
    rmi) api DELETE /images/rmi:1 >/dev/null ;;
  esac
}

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
  api DELETE '/containers/changed?force=1'
  # A child before its parent; a commit that was repeated has left the first without a name.
  for _ in 1 2 3; do
    for left in $(api GET '/images/json?all=1' | grep -o '"Id":"[^"]*"' | cut -d'"' -f4); do
      api DELETE "/images/$left?force=1" >/dev/null
    done
  done
  sleep 2
  for directory in content/blobs/sha256 content/ingest overlay2/layers overlay2/active overlay2/trash; do
    left=$(ls -A $data/$directory | head -n 3 | tr '\n' ' ')
    [ -z "$left" ] || problem "left in $directory: $left"
  done
}

look() {
  local ended=$1 operation image listed after
  [ -e $state/pending ] || return
  listed=" $(images | tr '\n' ' ')"
  for image in $listed; do
    case " base:1 $(for operation in $operations; do image_of "$operation"; done | tr '\n' ' ')" in
      *" $image "*) whole "$image" ;;
      *) problem "an image nobody made: $image" ;;
    esac
  done
  [[ $listed == *' base:1 '* ]] || problem 'the image of the container is gone'
  blobs_are_whole
  api GET /system/df >/dev/null || problem 'system df fails'
  for operation in $operations; do
    image=$(image_of "$operation")
    after=absent
    [[ $listed == *" $image "* ]] && after=whole
    case "$operation $after $ended" in
      'rmi whole '*rmi*) problem 'rmi had ended, and the image is there' ;;
      rmi*) ;;
      *absent*"$operation"*) [[ $ended == *"$operation"* ]] && problem "$operation had ended, and the image is gone" ;;
    esac
    if [ "$operation $after" = 'rmi absent' ]; then
      perform rmi && problem 'rmi again'
    elif ! perform "$operation"; then
      problem "$operation fails when it is repeated"
    elif [ "$after $operation" != 'whole rmi' ] && [ $after = absent ]; then
      whole "$image"
    fi
    echo "| $operation | $(cat $state/pending) % of $(cat "$state/ms-$operation") ms | $([[ $ended == *"$operation"* ]] && echo yes || echo no) | $after |"
  done
  nothing_left
  rm -f $state/pending
}

prepare() {
  local operation began name
  node_modules/node-linux-*/bin/node tests/vm/power-cut-images.ts $state pull load rmi base || return 1
  for name in pull load rmi base; do load $name && tree $name:1 >$state/tree-$name:1 || return 1; done
  cp $state/tree-pull:1 "$state/tree-${remote//\//-}"
  api POST "/images/pull:1/tag?repo=${remote%:*}&tag=1"
  api POST "/images/${remote%:*}/push?tag=1" -H 'X-Registry-Auth: e30=' >/dev/null || return 1
  nothing_left
  setup
  for operation in $operations; do
    began=$(date +%s%N)
    perform $operation || return 1
    echo $((($(date +%s%N) - began) / 1000000)) >$state/ms-$operation
  done
  tree committed:1 >$state/tree-committed:1
  nothing_left
  sync
  echo "prepared: ms for pull, load, commit, rmi: $(for operation in $operations; do cat $state/ms-$operation; done | tr '\n' ' ')"
}

# All operations at once, begun so that each is as far as the moment says when the power goes.
cut_at() {
  local percent=$1 longest operation
  longest=$(cat $state/ms-* | sort -n | tail -n 1)
  for operation in $operations; do
    (
      sleep "$(awk "BEGIN { print ($longest - $(cat $state/ms-$operation)) * $percent / 100000 }")"
      perform $operation && echo "ended $operation"
    ) &
  done
  sleep "$(awk "BEGIN { print $longest * $percent / 100000 }")"
  echo 'cut now'
  sleep 100
}

begin
case $1 in
  prepare) prepare ;;
  look) look "$2" ;;
  cut)
    look "$3"
    setup
    echo "$2" >$state/pending
    sync
    echo begun
    cut_at "$2"
    ;;
esac
