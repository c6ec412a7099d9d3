#!/bin/sh
# What the tests need beyond the engine: a docker client to test with. Where there is none, Debian's is unpacked beside the
# checkout, so that no service starts on this machine.
set -e
root=$(cd "$(dirname "$0")/.." && pwd)
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
