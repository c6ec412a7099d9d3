import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeCertificate, missingPrograms } from '../../tests/fixtures/docker-registry.ts';
import { TestRegistry } from '../../tests/fixtures/registry.ts';
import { parseReference } from '../spec/index.ts';
import { Registries } from './index.ts';

const missing = missingPrograms('openssl');
const reason = missing === undefined ? '' : ` (skipped: ${missing})`;
const retry = { attempts: 2, firstDelayMs: 1 };
/** The loopback by an address that does not count as insecure. */
const address = '0.0.0.0';

test(
  `Registries trusts and shows the certificates of a host's directory${reason}`,
  {
    skip: missing !== undefined,
  },
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'registry-tls-'));
    try {
      const { cert, key } = makeCertificate(directory, address);
      const pem = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
      for (const asksForClient of [false, true]) {
        await using registry = await TestRegistry.start({
          tls: { ...pem, ...(asksForClient ? { ca: pem.cert } : {}) },
        });
        registry.addImage('app', '1', [randomBytes(10)]);
        const domain = `${address}:${registry.port}`;
        const certificates = join(directory, domain);
        const pull = async (): Promise<unknown> => {
          using registries = new Registries({ retry, certificateDirectories: [directory] });
          return await registries.repository(parseReference(`${domain}/app`)).manifest('1');
        };
        await assert.rejects(pull(), {
          message: `Get "https://${domain}/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
        });
        mkdirSync(certificates);
        copyFileSync(cert, join(certificates, 'ca.crt'));
        if (asksForClient) {
          await assert.rejects(pull());
          copyFileSync(cert, join(certificates, 'client.cert'));
          copyFileSync(key, join(certificates, 'client.key'));
        }
        await pull();
        const mirror = await TestRegistry.start();
        await using _ = mirror;
        mirror.addImage('app', '1', [randomBytes(20)]);
        // hosts.toml is heard before the files beside it.
        writeFileSync(
          join(certificates, 'hosts.toml'),
          `server = "https://${domain}"\nca = "ca.crt"\n[host."${mirror.url}"]\ncapabilities = ["pull", "resolve"]\n`,
        );
        await pull();
        assert.equal(mirror.count('GET', /manifests/), 1);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test('Registries goes through the proxy of the environment, but for loopback and NO_PROXY', async () => {
  await using registry = await TestRegistry.start();
  registry.addImage('app', '1', [randomBytes(10)]);
  const asked: string[] = [];
  const proxy = http.createServer((request, response) => {
    asked.push(request.url ?? '');
    const url = new URL(request.url ?? '');
    const { method, headers } = request;
    const onward = http.request(
      { host: '127.0.0.1', port: registry.port, path: url.pathname, method, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      },
    );
    request.pipe(onward);
  });
  proxy.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    const onward = connect(registry.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  try {
    const environment = { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: 'direct.invalid' };
    const pull = async (domain: string): Promise<unknown> => {
      using registries = new Registries({ retry, environment, insecureRegistries: [domain] });
      return await registries.repository(parseReference(`${domain}/app`)).manifest('1');
    };
    await pull('registry.invalid');
    assert.deepEqual(asked, [
      'CONNECT registry.invalid:443',
      'http://registry.invalid/v2/',
      'http://registry.invalid/v2/app/manifests/1',
    ]);
    await pull(registry.domain);
    await assert.rejects(pull('direct.invalid'), /dial tcp: lookup direct\.invalid/);
    assert.equal(asked.length, 3);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
});
