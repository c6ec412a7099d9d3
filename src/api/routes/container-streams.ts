import type { Duplex } from 'node:stream';
import { EngineError } from '../../errors/index.ts';
import type { AttachRequest, Containers } from '../../containers/index.ts';
import { pump } from '../connection.ts';
import type { Exchange } from '../exchange.ts';
import { flag, text, timestamp } from '../query.ts';
import { route, type Route } from '../route.ts';
import { writeLogs } from '../log-stream.ts';
import { WebSocketStream, webSocketHead } from '../web-socket.ts';

/** What these routes need of the engine. */
export type StreamBackend = Pick<Containers, 'attach' | 'inspect' | 'logs'>;

export const rawStream = 'application/vnd.docker.raw-stream';
export const multiplexedStream = 'application/vnd.docker.multiplexed-stream';

/** The type of a stream that frames its output (no terminal) or not; told apart since API 1.42. */
export function streamType(exchange: Exchange, framed: boolean): string {
  return framed && exchange.version >= 42 ? multiplexedStream : rawStream;
}

/** Answers by leaving HTTP. */
export function writeHijackHead(exchange: Exchange, framed: boolean): Duplex {
  const upgrade = exchange.upgraded !== undefined;
  const connection = exchange.hijack();
  connection.write(
    upgrade
      ? `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${streamType(exchange, framed)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`
      : `HTTP/1.1 200 OK\r\nContent-Type: ${rawStream}\r\n\r\n`,
  );
  return connection;
}

export function containerStreamRoutes(containers: StreamBackend): Route[] {
  return [
    route({
      method: 'POST',
      path: '/containers/{id}/attach',
      operation: 'ContainerAttach',
      upgrades: true,
      query: { detachKeys: text, logs: flag, stream: flag, stdin: flag, stdout: flag, stderr: flag },
      async handle(exchange, query) {
        const session = await containers.attach(exchange.params['id'] ?? '', attachRequest(query));
        const connection = writeHijackHead(exchange, !session.tty);
        pump(session, connection, { framed: !session.tty, input: query.stdin, closeInputAtEnd: true });
      },
    }),
    route({
      method: 'GET',
      path: '/containers/{id}/attach/ws',
      operation: 'ContainerAttachWebsocket',
      upgrades: true,
      query: { detachKeys: text, logs: flag, stream: flag, stdin: flag, stdout: flag, stderr: flag },
      async handle(exchange, query) {
        const head = webSocketHead(exchange.request);
        const session = await containers.attach(exchange.params['id'] ?? '', attachRequest(query));
        const socket = exchange.hijack();
        socket.write(head);
        // No frames by stream: both come as they are, as Docker sends them here.
        const connection = new WebSocketStream(socket);
        pump(session, connection, { framed: false, input: query.stdin, closeInputAtEnd: true });
      },
    }),
    route({
      method: 'GET',
      path: '/containers/{id}/logs',
      operation: 'ContainerLogs',
      query: {
        follow: flag,
        stdout: flag,
        stderr: flag,
        since: timestamp,
        until: timestamp,
        timestamps: flag,
        tail: text,
        details: flag,
      },
      async handle(exchange, query) {
        if (!query.stdout && !query.stderr) {
          throw new EngineError('invalid-parameter', 'Bad parameters: you must choose at least one stream');
        }
        const tail = tailLines(query.tail);
        const { signal } = exchange;
        const { tty, entries } = containers.logs(exchange.params['id'] ?? '', {
          stdout: query.stdout,
          stderr: query.stderr,
          follow: query.follow,
          signal,
          ...(tail === undefined ? {} : { tail }),
          ...(query.since === undefined || query.since === 0n ? {} : { sinceNs: query.since }),
          ...(query.until === undefined || query.until === 0n ? {} : { untilNs: query.until }),
        });
        exchange.open(200, { 'Content-Type': streamType(exchange, !tty) });
        await writeLogs(exchange.response, entries, { framed: !tty, timestamps: query.timestamps, signal });
      },
    }),
  ];
}

function attachRequest(query: Omit<AttachRequest, 'detachKeys'> & { detachKeys: string }): AttachRequest {
  const { stdin, stdout, stderr, logs, stream, detachKeys } = query;
  return { stdin, stdout, stderr, logs, stream, ...(detachKeys === '' ? {} : { detachKeys }) };
}

/** `all`, nothing and anything that is no number mean every line, as in dockerd. */
function tailLines(given: string): number | undefined {
  return /^\d+$/.test(given) ? Number(given) : undefined;
}
