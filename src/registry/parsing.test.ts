import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseChallenges } from './challenge.ts';
import { decodeCredentials } from './credentials.ts';
import { hostsOf, isInsecure } from './hosts.ts';
import { bypassesProxy } from './no-proxy.ts';
import { registryError } from './registry-error.ts';
import { parseToml } from './toml.ts';

test('parseChallenges() reads schemes and quoted parameters', () => {
  const scopes = 'repository:a/b:pull,push';
  assert.deepEqual(
    parseChallenges(`Bearer realm="https://auth.test/token",service="a \\"b\\"",scope="${scopes}"`),
    [
      {
        scheme: 'bearer',
        parameters: { realm: 'https://auth.test/token', service: 'a "b"', scope: scopes },
      },
    ],
  );
  assert.deepEqual(
    parseChallenges('Basic realm="x", Bearer realm=y').map(({ scheme }) => scheme),
    ['basic', 'bearer'],
  );
  assert.deepEqual(parseChallenges(undefined), []);
  assert.deepEqual(parseChallenges('"'), []);
});

test('decodeCredentials() reads the header in either base64 alphabet, and takes a broken one for none', () => {
  const value = { username: 'a?', password: 'b~~~', serveraddress: '', email: 'x' };
  const text = JSON.stringify(value);
  for (const encoding of ['base64', 'base64url'] as const) {
    assert.deepEqual(decodeCredentials(Buffer.from(text).toString(encoding)), {
      username: 'a?',
      password: 'b~~~',
    });
  }
  assert.deepEqual(decodeCredentials(Buffer.from('{"identitytoken":"t"}').toString('base64')), {
    identityToken: 't',
  });
  for (const broken of [undefined, '', '%%%', 'bnVsbA==']) assert.deepEqual(decodeCredentials(broken), {});
});

test('registryError() says what Docker says', () => {
  const say = (status: number, body: string, headers: Record<string, string> = {}) =>
    registryError({ status, statusText: 'Text', headers }, body).message;
  const unknown = { code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' };
  assert.equal(say(404, JSON.stringify({ errors: [unknown] })), 'manifest unknown: manifest unknown');
  assert.equal(
    say(404, JSON.stringify({ errors: [unknown, { code: 'DENIED' }] })),
    'errors:\nmanifest unknown: manifest unknown\ndenied: requested access to the resource is denied\n',
  );
  assert.equal(say(503, ''), 'received unexpected HTTP status: 503 Text');
  assert.equal(say(401, ''), 'unauthorized: authentication required');
  assert.equal(say(429, '{"details":"slow"}'), 'toomanyrequests: slow');
  assert.equal(
    say(404, '<html>'),
    'error parsing HTTP 404 response body: invalid character \'<\' looking for beginning of value: "<html>"',
  );
  assert.equal(
    say(403, '{}', { 'www-authenticate': 'Bearer error="insufficient_scope"' }),
    'denied: requested access to the resource is denied',
  );
  const limited = registryError({ status: 429, statusText: '', headers: { 'retry-after': '3' } }, '');
  assert.equal(limited.retryAfterMs, 3000);
});

test("bypassesProxy() follows Go's rules for NO_PROXY", () => {
  const list = { NO_PROXY: 'plain.test, .sub.test,10.0.0.0/8,192.0.2.7,port.test:5000,*.star.test' };
  const direct = ['localhost', '127.1.2.3', '[::1]', 'plain.test', 'a.plain.test', 'a.sub.test'];
  direct.push('10.9.8.7', '192.0.2.7', 'x.star.test');
  for (const host of direct) assert.equal(bypassesProxy(host, '443', list), true, host);
  for (const host of ['other.test', 'sub.test', '11.0.0.1', 'port.test', 'notplain.test']) {
    assert.equal(bypassesProxy(host, '443', list), false, host);
  }
  assert.equal(bypassesProxy('port.test', '5000', list), true);
  assert.equal(bypassesProxy('other.test', '443', { no_proxy: '*' }), true);
  assert.equal(bypassesProxy('other.test', '443', {}), false);
});

test('isInsecure() knows loopback, names and ranges', () => {
  const list = ['plain.test', 'ports.test:5000', '10.1.0.0/16'];
  for (const host of ['localhost:5000', '127.0.0.1', '127.3.2.1:80', '[::1]:5000', 'plain.test']) {
    assert.equal(isInsecure(host, list), true, host);
  }
  assert.equal(isInsecure('ports.test:5000', list), true);
  assert.equal(isInsecure('10.1.2.3:5000', list), true);
  for (const host of ['ports.test', 'plain.test:5000', '10.2.0.1', 'docker.test']) {
    assert.equal(isInsecure(host, list), false, host);
  }
});

test('parseToml() reads what hosts files are written in', () => {
  const text = [
    'server = "https://a.test" # where it is',
    "[host.'https://b.test:5000']",
    '  capabilities = [ "pull",',
    '    "resolve", # no push',
    '  ]',
    '  skip_verify = true',
    '  client = [["a.cert", "a.key"]]',
    "  [host.'https://b.test:5000'.header]",
    '    x-one = "1"',
    '    x-two = ["a", "b"]',
    'n.inline = { a = 1, "b c" = -2.5 }',
  ].join('\n');
  assert.deepEqual(JSON.parse(JSON.stringify(parseToml(text))), {
    server: 'https://a.test',
    host: {
      'https://b.test:5000': {
        capabilities: ['pull', 'resolve'],
        skip_verify: true,
        client: [['a.cert', 'a.key']],
        header: { 'x-one': '1', 'x-two': ['a', 'b'], n: { inline: { a: 1, 'b c': -2.5 } } },
      },
    },
  });
  const wrong = [
    'a',
    'a = ',
    'a = "x',
    'a = [1',
    '[a',
    'a = 1 b',
    'a = 1\na = 2',
    'a = 1\n[a]',
    '[[a]]',
    'a = {',
  ];
  for (const bad of wrong) assert.throws(() => parseToml(bad), /^Error: line \d+: /, bad);
  parseToml('__proto__.polluted = true');
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('hostsOf() reads certificates in either layout', () => {
  const root = mkdtempSync(join(tmpdir(), 'certs-'));
  try {
    const put = (host: string, name: string, text: string): void => {
      mkdirSync(join(root, host), { recursive: true });
      writeFileSync(join(root, host, name), text);
    };
    put('a.test:5000', 'ca.crt', 'CA');
    put('a.test:5000', 'client.cert', 'CERT');
    put('a.test:5000', 'client.key', 'KEY');
    put('b.test', 'own.crt', 'OWN');
    put(
      'b.test',
      'hosts.toml',
      'server = "https://b.test"\n[host."http://mirror.test/sub"]\ncapabilities = ["pull"]\nca = "own.crt"\n',
    );
    put('c.test', 'client.cert', 'CERT');
    put('d.test', 'hosts.toml', '[host."ftp://x"]\n');
    const options = { certificateDirectories: [join(root, 'none'), root] };
    const [a] = hostsOf('a.test:5000', options);
    assert.deepEqual(a?.tls, { ca: ['CA'], clientCertificates: [{ cert: 'CERT', key: 'KEY' }] });
    const b = hostsOf('b.test', options);
    assert.deepEqual(
      b.map(({ base, capabilities, tls, isMirror }) => [base.href, capabilities, tls, isMirror]),
      [
        ['http://mirror.test/sub/v2/', ['pull'], { ca: ['OWN'] }, true],
        ['https://b.test/v2/', ['pull', 'resolve', 'push'], {}, false],
      ],
    );
    assert.throws(() => hostsOf('c.test', options), /missing key client\.key for client certificate/);
    assert.throws(() => hostsOf('d.test', options), /invalid host "ftp:\/\/x"/);
  } finally {
    rmSync(root, { recursive: true });
  }
});
