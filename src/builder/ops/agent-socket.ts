import { chmodSync, chownSync, closeSync, constants, openSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { pipeline } from 'node:stream';
import type { SshAgent } from '../builder.ts';

/** A socket that a step sees as its SSH agent: each connection is joined with one of the client's agent. */
export class AgentSocket {
  readonly #server: Server;
  /** Open as long as the server is: it removes its socket by that path. */
  readonly #directory: number;
  readonly #connections = new Set<Socket>();

  private constructor(server: Server, directory: number) {
    this.#server = server;
    this.#directory = directory;
  }

  /** @param path of the new socket */
  static async listen(
    path: string,
    agent: SshAgent,
    { mode, uid, gid }: { mode: number; uid: number; gid: number },
  ): Promise<AgentSocket> {
    const server = createServer({ allowHalfOpen: false });
    // The kernel takes no more than 107 bytes of a socket's path.
    const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
    const socket = new AgentSocket(server, directory);
    server.on('connection', (connection) => void socket.#join(connection, agent));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        closeSync(directory);
        reject(error);
      });
      server.listen(`/proc/self/fd/${directory}/${basename(path)}`, resolve);
    });
    chmodSync(path, mode);
    chownSync(path, uid, gid);
    return socket;
  }

  async #join(connection: Socket, agent: SshAgent): Promise<void> {
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('error', () => connection.destroy());
    try {
      const other = await agent.connect();
      pipeline(connection, other, connection, () => {
        connection.destroy();
        other.destroy();
      });
    } catch {
      // The step sees an agent that does not answer.
      connection.destroy();
    }
  }

  close(): void {
    for (const connection of this.#connections) connection.destroy();
    this.#server.close(() => closeSync(this.#directory));
  }
}
