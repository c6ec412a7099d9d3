import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { minimumApiVersion } from './api-version.ts';
import { fakeEngine, type FakeEngine } from './fake-engine.ts';
import { apiRoutes } from './routes.ts';
import { closeApiServer, createApiServer } from './server.ts';

export interface TestAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  json<T = Record<string, unknown>>(): T;
}

/** The API over a fake engine on a temporary unix socket, for tests. */
export interface TestApi extends AsyncDisposable {
  readonly engine: FakeEngine;
  readonly socketPath: string;
  readonly server: Server;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<TestAnswer>;
  /** A raw connection, for hijacked streams. */
  connect(): Socket;
}

export const testApiOptions = {
  serverVersion: '0.1.0',
  gitCommit: 'abcdef',
  buildTime: '',
  minimumVersion: minimumApiVersion,
  logDriver: 'json-file',
  logOptions: {},
  insecureRegistries: [],
  registryMirrors: [],
  addressPools: [],
  defaultShmSizeBytes: 64 * 1024 * 1024,
};

export async function startTestApi(): Promise<TestApi> {
  const engine = fakeEngine();
  const directory = mkdtempSync(join(tmpdir(), 'api-test-'));
  const socketPath = join(directory, 'api.sock');
  const server = createApiServer({
    routes: apiRoutes(engine, testApiOptions),
    serverVersion: '0.1.0',
    minimumVersion: minimumApiVersion,
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    engine,
    socketPath,
    server,
    call: (method, path, body, headers) => call(socketPath, method, path, body, headers),
    connect: () => connect({ path: socketPath, allowHalfOpen: true }),
    async [Symbol.asyncDispose]() {
      await closeApiServer(server);
      rmSync(directory, { recursive: true });
    },
  };
}

function call(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<TestAnswer> {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        socketPath,
        method,
        path,
        agent: false,
        headers: {
          ...(text === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: answer,
            json: <T>() => JSON.parse(answer) as T,
          });
        });
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}
