#!/bin/sh
# Installs the clients that these tests run and that a machine seldom has, beside the checkout in .setup/clients: Docker's
# newest library for Python, two for Node and Ansible's collections. docker-compose 1.x, ansible-core and the Debian library
# for Python come from Debian: apt-get install docker-compose ansible-core python3-docker
set -e
clients=$(cd "$(dirname "$0")/../../.." && pwd)/.setup/clients
mkdir -p "$clients"
cd "$clients"
[ -d node_modules/testcontainers ] || {
  echo '{"private":true}' > package.json
  npm install --no-audit --no-fund --silent --save-exact dockerode@5.0.1 testcontainers@12.2.0
}
[ -x venv/bin/python ] || {
  python3 -m venv venv
  venv/bin/pip install --quiet docker==7.2.0
}
[ -d ansible ] || {
  apt-get download -qq ansible
  dpkg-deb -x ansible_*.deb ansible
  rm ansible_*.deb
}
