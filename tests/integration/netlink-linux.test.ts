import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SyscallError } from '../../src/errors/index.ts';
import { createNetlink, linuxSyscall } from '../../src/sys/index.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root';

test('Netlink plumbs a veth pair between a bridge and a namespace', { skip }, () => {
  const syscall = linuxSyscall();
  const directory = mkdtempSync(join(tmpdir(), 'coracle-netlink-'));
  const outside = join(directory, 'outside');
  const inside = join(directory, 'inside');
  try {
    // All of it happens in namespaces of its own: nothing of the machine is touched.
    syscall.createNetworkNamespace(outside);
    syscall.createNetworkNamespace(inside);
    const own = createNetlink(syscall);
    own.inNamespace(outside, (netlink) => {
      netlink.createBridge('br0', { mac: '02:42:01:02:03:04', mtu: 1400 });
      netlink.addAddress('br0', '10.9.0.1/16');
      netlink.setLink('br0', { up: true });
      netlink.createVeth({
        name: 'port0',
        bridge: 'br0',
        peerName: 'eth0',
        peerNamespace: inside,
        peerMac: '02:42:0a:09:00:02',
        mtu: 1400,
      });
      netlink.inNamespace(inside, (peer) => {
        peer.setLink('eth0', { up: true });
        peer.addAddress('eth0', '10.9.0.2/16');
        peer.addAddress('eth0', '10.9.0.2/16', { replace: true });
        peer.addAddress('eth0', 'fd00::2/64');
        peer.addRoute({ destination: 'default', gateway: '10.9.0.1' });
        peer.addNeighbour('eth0', '10.9.0.77', '02:42:0a:09:00:4d');
        const link = peer.links().find(({ name }) => name === 'eth0');
        assert.deepEqual(
          [link?.mac, link?.mtu, link?.kind, link?.up],
          ['02:42:0a:09:00:02', 1400, 'veth', true],
        );
        const addresses = peer.addresses().filter(({ link: name, scope }) => name === 'eth0' && scope === 0);
        assert.deepEqual(addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`).sort(), [
          '10.9.0.2/16',
          'fd00::2/64',
        ]);
        assert.equal(peer.routes().find(({ destination }) => destination === 'default')?.gateway, '10.9.0.1');
        peer.removeRoute({ destination: 'default', gateway: '10.9.0.1' });
        assert.ok(!peer.routes().some(({ destination }) => destination === 'default'));
        peer.removeAddress('eth0', '10.9.0.2/16');
        assert.ok(!peer.addresses().some(({ address }) => address === '10.9.0.2'));
      });
      const port = netlink.links().find(({ name }) => name === 'port0');
      assert.deepEqual([port?.up, port?.master], [true, netlink.linkIndex('br0')]);
      netlink.setBridgePortMac('port0', '02:42:0a:09:00:02');
      netlink.setBridgePortMac('port0', '02:42:0a:09:00:02');
      netlink.setLink('port0', { master: null });
      assert.equal(netlink.links().find(({ name }) => name === 'port0')?.master, undefined);
      netlink.deleteLink('port0');
      assert.equal(netlink.linkIndex('port0'), undefined);
    });
    assert.equal(own.linkIndex('port0'), undefined);
    own.close();
  } finally {
    syscall.removeNetworkNamespace(inside);
    syscall.removeNetworkNamespace(outside);
    rmSync(directory, { recursive: true });
  }
});

test('Netlink names the errno and the kernel’s own words', { skip }, () => {
  const netlink = createNetlink(linuxSyscall());
  const fails = (body: () => void, errno: string, text: RegExp) =>
    assert.throws(
      body,
      (error) => error instanceof SyscallError && error.errno === errno && text.test(error.message),
    );
  netlink.deleteLink('coracle-none');
  fails(() => netlink.createBridge('lo'), 'EEXIST', /^create bridge lo: /);
  fails(() => netlink.addRoute({ destination: 'default', gateway: '240.1.2.3' }), 'ENETUNREACH', /gateway/);
  fails(() => netlink.setLink('coracle-none', { up: true }), 'ENODEV', /coracle-none/);
  assert.equal(netlink.linkIndex('lo'), 1);
  netlink.close();
});

test('Netlink.redirectPort() writes the table that nft(8) would, again and again', { skip }, () => {
  const syscall = linuxSyscall();
  const directory = mkdtempSync(join(tmpdir(), 'coracle-netlink-'));
  const path = join(directory, 'inside');
  const netlink = createNetlink(syscall);
  try {
    syscall.createNetworkNamespace(path);
    for (const toPort of [4000, 5000]) {
      const redirection = { address: '127.0.0.11', port: 53, toPort };
      netlink.inNamespace(path, (inside) => inside.redirectPort('names', redirection));
      const { stdout } = spawnSync('nsenter', [`--net=${path}`, 'nft', 'list', 'ruleset'], {
        encoding: 'utf8',
      });
      const rule = (protocol: string) =>
        `ip daddr 127.0.0.11 ${protocol} dport 53 dnat to 127.0.0.11:${toPort}`;
      assert.deepEqual(
        stdout.split('\n').map((line) => line.trim()),
        [
          'table ip names {',
          'chain output {',
          'type nat hook output priority -100; policy accept;',
          rule('udp'),
          rule('tcp'),
          '}',
          '}',
          '',
        ],
      );
    }
  } finally {
    netlink.close();
    syscall.removeNetworkNamespace(path);
    rmSync(directory, { recursive: true });
  }
});

test('Netlink.deleteLinkAside() lets the program go on meanwhile', { skip }, async () => {
  const syscall = linuxSyscall();
  const directory = mkdtempSync(join(tmpdir(), 'coracle-netlink-'));
  const path = join(directory, 'inside');
  const netlink = createNetlink(syscall);
  const name = `cot${process.pid.toString(36)}`;
  try {
    syscall.createNetworkNamespace(path);
    netlink.createBridge(name);
    netlink.createVeth({ name: `${name}p`, bridge: name, peerName: 'eth0', peerNamespace: path });
    const deleted = netlink.deleteLinkAside(`${name}p`).then(() => 'deleted');
    const turn = new Promise((resolve) => setImmediate(resolve, 'a turn of the event loop'));
    assert.equal(await Promise.race([deleted, turn]), 'a turn of the event loop');
    await deleted;
    assert.equal(netlink.linkIndex(`${name}p`), undefined);
    await netlink.deleteLinkAside(`${name}p`);
  } finally {
    netlink.deleteLink(name);
    netlink.close();
    syscall.removeNetworkNamespace(path);
    rmSync(directory, { recursive: true });
  }
});
