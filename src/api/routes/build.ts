import { solveText, type Builder, type BuildQuestion, type BuildRequest } from '../../builder/index.ts';
import { EngineError, errorMessage, isEngineError } from '../../errors/index.ts';
import { isDigest } from '../../spec/index.ts';
import {
  buildQuery,
  buildRequest,
  extendedBuildQuery,
  extendedRequest,
  registryConfig,
} from '../build/build-request.ts';
import { BuildSessions } from '../build/build-sessions.ts';
import type { Exchange } from '../exchange.ts';
import { list, map, string, struct } from '../json/schema.ts';
import { ProgressStream } from '../progress-stream.ts';
import { integer, text } from '../query.ts';
import { route, type Route } from '../route.ts';
import { buildCacheRoutes } from './build-cache.ts';
import { sendStream } from './archive.ts';
import { writeHijackHead } from './container-streams.ts';

interface SessionBody {
  Secrets: Record<string, string> | null;
  Agents: string[] | null;
  Caches: string[] | null;
}

const sessionBody = struct<SessionBody>('BuildSession', {
  Secrets: map(string()),
  Agents: list(string()),
  Caches: list(string()),
});

const stepsBody = struct<{ Steps: string[] | null }>('BuildSteps', { Steps: list(string()) });

/** Building: Docker's classic protocol, and ours with what that has no word for. The answer is a stream. */
export function buildRoutes(builder: Builder): Route[] {
  const sessions = new BuildSessions();
  return [
    route({
      method: 'POST',
      path: '/coracle/build/session',
      operation: '(BuildSession)',
      body: sessionBody,
      handle(exchange, _query, body) {
        const secrets = Object.entries(body.Secrets ?? {}).map(
          ([id, content]) => [id, Buffer.from(content, 'base64')] as const,
        );
        const { Agents, Caches } = body;
        const lent = { secrets: new Map(secrets), agents: Agents ?? [], caches: Caches ?? [] };
        exchange.json(200, { Ticket: sessions.open(lent) });
      },
    }),
    route({
      method: 'POST',
      path: '/coracle/build/steps',
      operation: '(BuildSteps)',
      body: stepsBody,
      handle(exchange, _query, body) {
        const steps = (body.Steps ?? []).filter(isDigest);
        exchange.json(200, { Unknown: steps.filter((step) => !builder.knows(step)) });
      },
    }),
    route({
      method: 'GET',
      path: '/coracle/build/cache',
      operation: '(BuildCache)',
      query: { ticket: text, id: text },
      async handle(exchange, query) {
        const door = sessions.cache(query.ticket, query.id);
        const given = await door.receive((layout) =>
          sendStream(exchange, layout, 'application/x-tar', false),
        );
        if (!given) exchange.empty(204);
      },
    }),
    route({
      method: 'POST',
      path: '/coracle/build/agent',
      operation: '(BuildAgent)',
      upgrades: true,
      query: { ticket: text, id: text },
      handle(exchange, query) {
        const agent = sessions.agent(query.ticket, query.id);
        const connection = writeHijackHead(exchange, false);
        connection.on('error', () => connection.destroy());
        agent.store(connection);
      },
    }),
    route({
      method: 'POST',
      path: '/coracle/build',
      operation: '(BuildExtended)',
      query: extendedBuildQuery,
      handle(exchange, query) {
        const question = buildQuestion(query.call);
        const request = extendedRequest(query);
        return build({ builder, sessions, exchange }, request, { isExtended: true, question });
      },
    }),
    route({
      method: 'GET',
      path: '/coracle/build/files',
      operation: '(BuildFiles)',
      query: { image: text, epoch: integer },
      async handle(exchange, query) {
        const { signal } = exchange;
        const files = builder.files(query.image, {
          signal,
          ...(query.epoch === undefined ? {} : { epochSeconds: query.epoch }),
        });
        await sendStream(exchange, files, 'application/x-tar', false);
      },
    }),
    route({
      method: 'POST',
      path: '/build',
      operation: 'ImageBuild',
      coverage: 'partial',
      note: 'version 1 (no BuildKit); of `outputs` those that the engine keeps or pushes, `cachefrom` takes caches of registries',
      query: buildQuery,
      handle(exchange, query) {
        checkVersion(query.version);
        const options = { isExtended: false, question: undefined };
        return build({ builder, sessions, exchange }, buildRequest(query), options);
      },
    }),
    route({
      method: 'POST',
      path: '/build/cancel',
      operation: '(BuildCancel)',
      since: 38,
      query: { id: text },
      handle(exchange, query) {
        if (query.id === '') throw new EngineError('invalid-parameter', 'build ID not provided');
        builder.cancel(query.id);
        exchange.empty(204);
      },
    }),
    ...buildCacheRoutes(builder),
  ];
}

async function build(
  { builder, sessions, exchange }: { builder: Builder; sessions: BuildSessions; exchange: Exchange },
  request: BuildRequest,
  { isExtended, question }: { isExtended: boolean; question: BuildQuestion | undefined },
): Promise<void> {
  const ticket = exchange.request.headers['x-coracle-build-session'];
  using loan = sessions.take(Array.isArray(ticket) ? ticket[0] : ticket);
  for (const { type, dest = '' } of request.cacheTo ?? []) {
    if (type !== 'local' || loan.caches.has(dest)) continue;
    throw new EngineError('invalid-parameter', 'local cache exporter requires session');
  }
  const output = new ProgressStream(exchange);
  await output.run(async () => {
    try {
      const complete: BuildRequest = {
        ...request,
        context: exchange.body,
        secrets: loan.secrets,
        ssh: loan.ssh,
        receiveCache: (...cache) => loan.receiveCache(...cache),
        credentials: registryConfig(exchange.request.headers['x-registry-config']),
        signal: exchange.signal,
        onMessage: (message) => output.write(message),
        ...(isExtended ? { onStatus: (trace) => output.write({ trace }) } : {}),
      };
      if (question !== undefined) output.write({ answer: await builder.ask(complete, question) });
      else {
        const result = await builder.build(complete);
        if (isExtended) output.write({ result });
      }
    } catch (error) {
      if (!exchange.response.headersSent) throw error;
      const message = isExtended ? solveText(error) : errorMessage(error);
      const { exitCode: code, source } = isEngineError(error) ? error.details : {};
      const errorDetail = { ...(code === undefined ? {} : { code }), message };
      output.write({
        errorDetail,
        error: message,
        ...(isExtended && source !== undefined ? { source } : {}),
      });
    }
  });
}

/** @throws {EngineError} `invalid-parameter` */
function buildQuestion(call: string): BuildQuestion | undefined {
  if (call === '') return undefined;
  if (call === 'check' || call === 'outline' || call === 'targets') return call;
  throw new EngineError('invalid-parameter', `unknown call ${JSON.stringify(call)}`);
}

/** @throws {EngineError} */
function checkVersion(version: string): void {
  if (version === '2') {
    throw new EngineError(
      'not-implemented',
      'BuildKit (set DOCKER_BUILDKIT=0) is not supported by this engine yet',
    );
  }
  if (version !== '' && version !== '1') {
    throw new EngineError('invalid-parameter', `invalid version ${JSON.stringify(version)}`);
  }
}
