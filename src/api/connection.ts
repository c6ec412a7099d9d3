import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AttachSession } from '../containers/index.ts';

/**
 * Takes a connection out of Node's HTTP server without an `Upgrade` header, which HTTP has no word for but Docker's API
 * allows on attach and exec. Adding a reader makes Node stop feeding its parser (_http_server wraps the socket's `on`);
 * the server's own listeners go, so that what follows is not parsed as a further request. What comes before the caller's
 * reader waits in the paused socket.
 */
export function detachFromHttp(response: ServerResponse): Duplex {
  const socket = response.socket as Socket;
  response.detachSocket(socket);
  for (const event of ['data', 'end', 'close', 'drain', 'error', 'timeout']) socket.removeAllListeners(event);
  socket.setTimeout(0);
  const reader = (): void => undefined;
  socket.on('data', reader);
  socket.pause();
  socket.removeListener('data', reader);
  return socket;
}

const headerBytes = 8;

/** One frame of Docker's multiplexed stream: stream number, three zeros, big-endian length, then the bytes. */
export function frameHeader(stream: 'stdin' | 'stdout' | 'stderr', length: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header[0] = stream === 'stderr' ? 2 : stream === 'stdout' ? 1 : 0;
  header.writeUInt32BE(length, 4);
  return header;
}

/** A frame in one buffer. */
export function frame(stream: 'stdout' | 'stderr', chunk: Buffer): Buffer {
  return Buffer.concat([frameHeader(stream, chunk.length), chunk], headerBytes + chunk.length);
}

const copyBelowBytes = 2048;

/** Small frames go as one copied buffer, large ones as header and chunk in one writev(2), so that nothing is copied. */
function writeChunk(
  connection: Duplex,
  stream: 'stdout' | 'stderr',
  chunk: Buffer,
  framed: boolean,
): boolean {
  if (!framed) return connection.write(chunk);
  if (chunk.length < copyBelowBytes) return connection.write(frame(stream, chunk));
  connection.cork();
  connection.write(frameHeader(stream, chunk.length));
  const more = connection.write(chunk);
  connection.uncork();
  return more;
}

/** After its last output a connection is half-closed; a client that never closes its half is cut off after this. */
const lingerMs = 30_000;

export interface PumpOptions {
  /** Frame the output by stream; false: raw, as for a terminal. */
  framed: boolean;
  /** False: what the client sends is thrown away. */
  input: boolean;
  /** Close the container's input when the client half-closes. */
  closeInputAtEnd: boolean;
}

/**
 * Joins a session and a hijacked connection until either ends. Both directions wait for their reader: the session is
 * paused while the socket is full, the socket while the container does not read.
 */
export function pump(session: AttachSession, connection: Duplex, options: PumpOptions): void {
  let ended = false;
  const endSession = (): void => {
    if (ended) return;
    ended = true;
    session.close();
  };

  session.onOutput = (stream, chunk) => {
    if (connection.destroyed || connection.writableEnded) return;
    if (!writeChunk(connection, stream, chunk, options.framed)) session.pause();
  };
  connection.on('drain', () => {
    if (!ended) session.resume();
  });
  session.onEnd = ({ detached, error }) => {
    if (ended) return;
    ended = true;
    if (error !== undefined && !detached && connection.writable) {
      const line = Buffer.from(`${error.message}\r\n`);
      connection.write(options.framed ? frame('stderr', line) : line);
    }
    finish(connection);
  };

  connection.on('data', (chunk: Buffer) => {
    if (ended || !options.input) return;
    connection.pause();
    session.writeInput(chunk).then(
      () => connection.resume(),
      // The container no longer reads; it may still write, so go on and drop the rest.
      () => connection.resume(),
    );
  });
  connection.on('end', () => {
    if (!ended && options.input && options.closeInputAtEnd) session.closeInput();
  });
  connection.on('error', endSession);
  connection.on('close', endSession);
  connection.resume();
  session.begin();
}

/** Half-closes after what is queued, reads the client out, and lets go. */
export function finish(connection: Duplex): void {
  if (connection.destroyed) return;
  connection.end();
  connection.resume();
  const timer = setTimeout(() => connection.destroy(), lingerMs);
  timer.unref();
  connection.once('close', () => clearTimeout(timer));
}
