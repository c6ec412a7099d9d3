import { drained, StreamDemuxer, type Hijacked } from '../../client/index.ts';
import type { Cli } from '../cli.ts';
import { DetachWatch, parseDetachKeys } from './detach-keys.ts';

export interface StreamRequest {
  connection: Hijacked;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
  /** '' for docker's `ctrl-p,ctrl-q`. */
  detachKeys: string;
}

/** What ends an interactive session by the user's own keys. */
export const escapeMessage = 'read escape sequence';

/**
 * Copies both ways until the container's output ends (`ended`) or the user types the detach keys (`detached`). The end of
 * our input half-closes the connection; a terminal is raw meanwhile and restored after.
 */
export async function streamHijacked(cli: Cli, request: StreamRequest): Promise<'ended' | 'detached'> {
  const { socket, rest } = request.connection;
  const restore = request.stdin && request.tty ? rawTerminal() : (): void => {};
  try {
    return await new Promise((resolve, reject) => {
      readOutput(cli, request, rest, () => resolve('ended'), reject);
      if (request.stdin) copyInput(request, () => resolve('detached'));
      else socket.end();
    });
  } finally {
    restore();
    socket.destroy();
    if (request.stdin) process.stdin.pause();
  }
}

function readOutput(
  cli: Cli,
  request: StreamRequest,
  rest: Buffer,
  ended: () => void,
  failed: (error: Error) => void,
): void {
  const { socket } = request.connection;
  let sink: (chunk: Buffer) => void;
  if (request.tty) sink = (chunk) => request.stdout && cli.out(chunk);
  else {
    const demuxer = new StreamDemuxer((kind, payload) => {
      if (kind === 2 || kind === 3) {
        if (request.stderr) cli.err(payload);
      } else if (request.stdout) cli.out(payload);
    });
    sink = (chunk) => demuxer.write(chunk);
  }
  const take = (chunk: Buffer): void => {
    try {
      sink(chunk);
    } catch (error) {
      failed(error as Error);
    }
  };
  if (rest.length > 0) take(rest);
  socket.on('data', take);
  socket.on('end', ended);
  socket.on('close', ended);
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // The engine may close while we are still sending: its output has been read by then.
    if (error.code === 'EPIPE' || error.code === 'ECONNRESET') ended();
    else failed(error);
  });
  socket.resume();
}

function copyInput(request: StreamRequest, detached: () => void): void {
  const { socket } = request.connection;
  const input = process.stdin;
  let watch: DetachWatch | null = null;
  if (request.tty) {
    let keys = [16, 17];
    if (request.detachKeys !== '') {
      try {
        keys = parseDetachKeys(request.detachKeys);
      } catch {
        // The engine has refused them already, or they are only odd: docker's own keys work then.
      }
    }
    watch = new DetachWatch(keys);
  }
  input.on('data', (chunk: Buffer) => {
    let bytes = chunk;
    if (watch !== null) {
      const seen = watch.push(chunk);
      bytes = seen.forward;
      if (seen.detached) {
        if (bytes.length > 0) socket.write(bytes);
        detached();
        return;
      }
    }
    if (bytes.length === 0 || socket.destroyed) return;
    if (!socket.write(bytes)) {
      input.pause();
      void drained(socket).then(() => input.resume());
    }
  });
  input.on('end', () => socket.end());
  input.on('error', () => socket.end());
}

function rawTerminal(): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => {};
  stdin.setRawMode(true);
  // Node's raw mode leaves the translation of line ends on; full-screen programs break when a lone line feed also
  // returns to the first column. The container's own terminal has done that translation already.
  // Loaded here because most calls never need it.
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  spawnSync('stty', ['-opost'], { stdio: [0, 'ignore', 'ignore'] });
  return () => {
    stdin.setRawMode(false);
  };
}
