import { EngineError, errorMessage } from '../../errors/index.ts';
import type { Containers, ExecCreate } from '../../containers/index.ts';
import { finish, frame, pump } from '../connection.ts';
import type { Exchange } from '../exchange.ts';
import { boolean, list, nullable, pair, integer, string, stringOrList, struct } from '../json/schema.ts';
import { dimension } from '../query.ts';
import { route, type Route } from '../route.ts';
import { writeHijackHead } from './container-streams.ts';

/** What these routes need of the engine. */
export type ExecBackend = Pick<Containers, 'createExec' | 'startExec' | 'inspectExec' | 'resizeExec'>;

interface ExecCreateBody {
  User: string;
  Privileged: boolean;
  Tty: boolean;
  ConsoleSize: [number, number] | null;
  AttachStdin: boolean;
  AttachStderr: boolean;
  AttachStdout: boolean;
  DetachKeys: string;
  Env: string[] | null;
  WorkingDir: string;
  Cmd: string[] | null;
}

const createBody = struct<ExecCreateBody>('container.ExecCreateRequest', {
  User: string(),
  Privileged: boolean(),
  Tty: boolean(),
  ConsoleSize: nullable(pair(integer('uint'))),
  AttachStdin: boolean(),
  AttachStderr: boolean(),
  AttachStdout: boolean(),
  DetachKeys: string(),
  Env: list(string()),
  WorkingDir: string(),
  Cmd: stringOrList(),
});

interface ExecStartBody {
  Detach: boolean;
  Tty: boolean;
  ConsoleSize: [number, number] | null;
}

const startBody = struct<ExecStartBody>('container.ExecStartRequest', {
  Detach: boolean(),
  Tty: boolean(),
  ConsoleSize: nullable(pair(integer('uint'))),
});

export function execRoutes(containers: ExecBackend): Route[] {
  return [
    route({
      method: 'POST',
      path: '/containers/{id}/exec',
      operation: 'ContainerExec',
      body: createBody,
      async handle(exchange, _query, body) {
        if (body.Cmd === null || body.Cmd.length === 0) {
          throw new EngineError('invalid-parameter', 'No exec command specified');
        }
        const request: ExecCreate = {
          attachStdin: body.AttachStdin,
          attachStdout: body.AttachStdout,
          attachStderr: body.AttachStderr,
          tty: body.Tty,
          detachKeys: body.DetachKeys,
          env: body.Env,
          cmd: body.Cmd,
          privileged: body.Privileged,
          user: body.User,
          workingDir: body.WorkingDir,
          ...(exchange.version < 42 || body.ConsoleSize === null ? {} : { consoleSize: body.ConsoleSize }),
        };
        exchange.json(201, { Id: await containers.createExec(exchange.params['id'] ?? '', request) });
      },
    }),
    route({
      method: 'POST',
      path: '/exec/{id}/start',
      operation: 'ExecStart',
      upgrades: true,
      body: startBody,
      handle: (exchange, _query, body) => start(containers, exchange, body),
    }),
    route({
      method: 'POST',
      path: '/exec/{id}/resize',
      operation: 'ExecResize',
      query: { h: dimension('height'), w: dimension('width') },
      async handle(exchange, query) {
        await containers.resizeExec(exchange.params['id'] ?? '', query.h, query.w);
        exchange.empty(200);
      },
    }),
    route({
      method: 'GET',
      path: '/exec/{id}/json',
      operation: 'ExecInspect',
      handle(exchange) {
        const record = containers.inspectExec(exchange.params['id'] ?? '');
        const { request } = record;
        const [entrypoint = '', ...args] = request.cmd;
        exchange.json(200, {
          ID: record.id,
          Running: record.running,
          ExitCode: record.exitCode,
          ProcessConfig: {
            tty: request.tty,
            entrypoint,
            arguments: args,
            privileged: request.privileged,
            ...(request.user === '' ? {} : { user: request.user }),
            ...(request.workingDir === '' ? {} : { workingDir: request.workingDir }),
          },
          OpenStdin: request.attachStdin,
          OpenStderr: request.attachStderr,
          OpenStdout: request.attachStdout,
          CanRemove: record.canRemove,
          ContainerID: record.containerId,
          DetachKeys: Buffer.from(detachBytes(request.detachKeys)).toString('base64'),
          Pid: record.pid,
        });
      },
    }),
  ];
}

/** `ctrl-p,ctrl-q` as the bytes a terminal sends; dockerd answers them in base64. */
function detachBytes(keys: string): number[] {
  if (keys === '') return [];
  return keys.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    return (control ?? key).charCodeAt(0) & (control === undefined ? 0xff : 0x1f);
  });
}

async function start(containers: ExecBackend, exchange: Exchange, body: ExecStartBody): Promise<void> {
  const id = exchange.params['id'] ?? '';
  // Unknown ids are told as JSON; what goes wrong after the hijack is told in the stream, as dockerd does.
  const { request } = containers.inspectExec(id);
  const size = exchange.version >= 42 && body.Tty ? body.ConsoleSize : null;
  const options = { tty: body.Tty, ...(size === null ? {} : { consoleSize: size }) };
  if (body.Detach) {
    await containers.startExec(id, { attach: false, ...options });
    exchange.empty(200);
    return;
  }
  // Before the start, as dockerd does: some clients lose output that arrives in one packet with the head.
  const connection = writeHijackHead(exchange, !body.Tty);
  connection.on('error', () => connection.destroy());
  try {
    const session = await containers.startExec(id, { attach: true, ...options });
    if (session === undefined) finish(connection);
    else pump(session, connection, { framed: !body.Tty, input: request.attachStdin, closeInputAtEnd: true });
  } catch (error) {
    const line = Buffer.from(`${errorMessage(error)}\r\n`);
    connection.write(body.Tty ? line : frame('stdout', line));
    finish(connection);
  }
}
