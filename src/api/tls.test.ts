import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect } from 'node:tls';
import { fakeEngine } from './fake-engine.ts';
import { apiRoutes } from './routes.ts';
import { minimumApiVersion } from './api-version.ts';
import { createApiServer } from './server.ts';
import { testApiOptions } from './test-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'api-tls-'));
const [keyPath, certPath] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
const made = spawnSync('openssl', [
  'req',
  '-x509',
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:prime256v1',
  '-nodes',
  '-days',
  '2',
  '-keyout',
  keyPath,
  '-out',
  certPath,
  '-subj',
  '/CN=localhost',
  '-addext',
  'subjectAltName=DNS:localhost',
]);
const skip = made.status === 0 ? false : 'openssl, which makes the test certificate, is not installed';

test(
  'createApiServer() keeps a hijacked TLS connection open after the client half-closed it',
  { skip },
  async (t) => {
    const engine = fakeEngine();
    const [key, cert] = [readFileSync(keyPath), readFileSync(certPath)];
    const server = createApiServer({
      routes: apiRoutes(engine, testApiOptions),
      serverVersion: '0.1.0',
      minimumVersion: minimumApiVersion,
      tls: { key, cert, ca: cert, requestCert: true, rejectUnauthorized: true },
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    await engine.fake.create({
      name: 'c',
      config: { Image: 'busybox' },
    } as Parameters<typeof engine.fake.create>[0]);
    // tls.connect() takes allowHalfOpen, its types do not say so.
    const half: object = { allowHalfOpen: true };
    const socket = connect({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      servername: 'localhost',
      key,
      cert,
      ca: cert,
      ...half,
    });
    await once(socket, 'secureConnect');
    socket.end(
      'POST /containers/c/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n',
    );
    const { session } = engine.fake;
    let received = '';
    socket.setEncoding('latin1').on('data', (text: string) => (received += text));
    await session.whenInputClosed();
    session.onOutput('stdout', Buffer.from('still here'));
    session.onEnd({ detached: false });
    await once(socket, 'end');
    assert.match(received, /^HTTP\/1\.1 101 UPGRADED/);
    assert.match(received, /still here$/);
  },
);

after(() => rmSync(directory, { recursive: true }));
