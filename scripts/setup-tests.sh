#!/bin/sh
# What the tests need beyond the engine: programs that look at networks and act other firewalls, and a docker client to test
# with. Where there is no client, Debian's is unpacked beside the checkout, so that no service starts on this machine.
set -e
root=$(cd "$(dirname "$0")/.." && pwd)
PATH=$PATH:/usr/sbin:/sbin
missing=
command -v ip >/dev/null || missing="$missing iproute2"
command -v iptables >/dev/null || missing="$missing iptables"
if [ -n "$missing" ]; then
  echo "coracle: installing for the tests:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null; }
fi
if ! command -v docker >/dev/null && [ ! -x "$root/.setup/bin/docker" ]; then
  echo "coracle: unpacking Debian's docker client for the tests"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  apt-get download -qq docker.io >/dev/null 2>&1 || { apt-get update -qq && apt-get download -qq docker.io >/dev/null; }
  dpkg-deb -x docker.io_*.deb tree
  mkdir -p "$root/.setup/bin"
  mv tree/usr/bin/docker "$root/.setup/bin/docker"
fi
