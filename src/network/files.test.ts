import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '../errors/index.ts';
import { buildHostname, buildHosts, buildResolvConf, nameservers, readHostResolvConf } from './files.ts';

const host =
  '# by hand\nnameserver 127.0.0.1\nnameserver 10.0.0.53\nnameserver fd00::53\nsearch corp.example\noptions ndots:3 # why\n';
const bridge = { host, sharesHostNetwork: false };

test('buildResolvConf() drops servers that a bridge cannot reach and keeps the rest as it is', () => {
  assert.equal(
    buildResolvConf(bridge),
    '# by hand\nnameserver 10.0.0.53\nsearch corp.example\noptions ndots:3 # why\n',
  );
  assert.equal(buildResolvConf({ host, sharesHostNetwork: true }), host);
  assert.deepEqual(nameservers(buildResolvConf({ ...bridge, ipv6: true })), ['10.0.0.53', 'fd00::53']);
});

test('buildResolvConf() asks public servers when none is left', () => {
  const text = buildResolvConf({ host: 'search a.b\nnameserver 127.0.0.53', sharesHostNetwork: false });
  assert.equal(text, 'search a.b\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n');
  assert.equal(
    buildResolvConf({ host: '', sharesHostNetwork: false }),
    'nameserver 8.8.8.8\nnameserver 8.8.4.4\n',
  );
});

test('buildResolvConf() writes what was asked for, and the host’s where nothing was', () => {
  assert.equal(
    buildResolvConf({
      ...bridge,
      dns: ['1.1.1.1'],
      dnsSearch: ['a.b', 'c'],
      dnsOptions: ['ndots:2', 'rotate'],
    }),
    'search a.b c\nnameserver 1.1.1.1\noptions ndots:2 rotate\n',
  );
  assert.equal(
    buildResolvConf({ ...bridge, dns: ['127.0.0.1'] }),
    'search corp.example\nnameserver 127.0.0.1\noptions ndots:3\n',
  );
  assert.equal(buildResolvConf({ ...bridge, dnsSearch: ['.'] }), 'nameserver 10.0.0.53\noptions ndots:3\n');
  assert.equal(buildResolvConf({ ...bridge, dns: [], dnsSearch: null }), buildResolvConf(bridge));
});

test('readHostResolvConf() looks behind the stub of systemd-resolved', (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-files-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const [own, behind] = [join(directory, 'own'), join(directory, 'behind')];
  assert.equal(readHostResolvConf(own, behind), '');
  writeFileSync(own, 'nameserver 127.0.0.53\n');
  assert.equal(readHostResolvConf(own, behind), 'nameserver 127.0.0.53\n');
  writeFileSync(behind, 'nameserver 10.1.1.1\n');
  assert.equal(readHostResolvConf(own, behind), 'nameserver 10.1.1.1\n');
  writeFileSync(own, 'nameserver 10.2.2.2\n');
  assert.equal(readHostResolvConf(own, behind), 'nameserver 10.2.2.2\n');
});

const local =
  '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n' +
  'ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n';

test('buildHosts() writes extra hosts, then the container’s own line, as dockerd', () => {
  assert.equal(
    buildHosts({
      hostname: 'foo',
      domainname: 'ex.org',
      ownAddresses: ['172.17.0.2'],
      extraHosts: ['h1:1.2.3.4', 'gw:host-gateway', 'six=[::1]', 'sv:fd00::2'],
      hostGateway: ['172.17.0.1', 'fd00::1'],
    }),
    `${local}1.2.3.4\th1\n172.17.0.1\tgw\nfd00::1\tgw\n::1\tsix\nfd00::2\tsv\n172.17.0.2\tfoo.ex.org foo\n`,
  );
  assert.equal(buildHosts({ hostname: 'd0ee', domainname: '', ownAddresses: [] }), local);
});

test('buildHosts() gives the host’s own file to its network, unless hosts are added', () => {
  const request = { host: '10.0.0.1 box\n', hostname: 'box', domainname: '', ownAddresses: [] };
  assert.equal(buildHosts(request), '10.0.0.1 box\n');
  assert.equal(buildHosts({ ...request, extraHosts: ['a:1.2.3.4'] }), `${local}1.2.3.4\ta\n`);
});

test('buildHosts() refuses an extra host that is none', () => {
  for (const extra of [
    'foo',
    ':1.2.3.4',
    'foo:',
    'foo:bar',
    'a:host-gateway',
    'a b:1.2.3.4',
    'a:1.2.3.4\n5.6.7.8 b',
  ]) {
    assert.throws(
      () => buildHosts({ hostname: 'x', domainname: '', ownAddresses: [], extraHosts: [extra] }),
      (error) => isKind(error, 'invalid-parameter'),
      extra,
    );
  }
});

test('buildHostname() ends the line', () => {
  assert.equal(buildHostname('foo'), 'foo\n');
});
