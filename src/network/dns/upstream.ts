import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, isIPv6, type Socket } from 'node:net';
import { answers, codeOf, responseCode, writeAnswer, type Question } from './message.ts';

export type Transport = 'udp' | 'tcp';

const TIMEOUT_MS = 2000;
const MAX_CONCURRENT = 1024;
const DNS_PORT = 53;

/** Where servers are reached from. */
export interface Outlet {
  /** Not connected. */
  udp(server: string): UdpSocket;
  /** Connected to the server's port, or about to be. */
  tcp(server: string): Socket;
}

/** The host's own network. */
const hostOutlet: Outlet = {
  udp: (server) => createSocket(isIPv6(server) ? 'udp6' : 'udp4'),
  tcp: (server) => connect({ host: server, port: DNS_PORT }),
};

/** Asks the name servers of the host (or those a container was given) what is no container's name. */
export class Upstream {
  #concurrent = 0;

  /**
   * The first usable answer, the servers being asked one after the other; undefined when none has one. What comes is
   * passed on as it is: a truncated answer makes the client ask again by TCP, and that is how the servers are asked then.
   */
  async ask(
    question: Question,
    message: Buffer,
    servers: readonly string[],
    transport: Transport,
    outlet: Outlet = hostOutlet,
  ): Promise<Buffer | undefined> {
    if (this.#concurrent >= MAX_CONCURRENT) return writeAnswer(question, [], { code: responseCode.refused });
    this.#concurrent++;
    let refusal: Buffer | undefined;
    try {
      for (const server of servers.slice(0, 3)) {
        const ask = transport === 'udp' ? askByUdp : askByTcp;
        const answer = await ask(question, message, server, outlet).catch(() => undefined);
        if (answer === undefined) continue;
        const code = codeOf(answer);
        if (code !== responseCode.serverFailure && code !== responseCode.refused) return answer;
        refusal = answer;
      }
      return refusal;
    } finally {
      this.#concurrent--;
    }
  }
}

async function askByUdp(
  question: Question,
  message: Buffer,
  server: string,
  outlet: Outlet,
): Promise<Buffer | undefined> {
  const socket = outlet.udp(server);
  return new Promise((resolve) => {
    const finish = (answer?: Buffer): void => {
      clearTimeout(timer);
      socket.removeAllListeners('message');
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(finish, TIMEOUT_MS);
    timer.unref();
    socket.unref();
    socket.on('error', () => finish());
    socket.on('message', (answer) => {
      if (answers(answer, question)) finish(answer);
    });
    // Connected: the kernel passes on nothing but this server's datagrams, and its refusals.
    const onConnect = (error?: Error): void => (error === undefined ? socket.send(message) : finish());
    // The types know no error; Node gives one where nothing leads to the server.
    socket.connect(DNS_PORT, server, onConnect as () => void);
  });
}

async function askByTcp(
  question: Question,
  message: Buffer,
  server: string,
  outlet: Outlet,
): Promise<Buffer | undefined> {
  const socket = outlet.tcp(server);
  return new Promise((resolve) => {
    const frames = new FrameReader();
    const finish = (answer?: Buffer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(TIMEOUT_MS, () => finish());
    socket.unref();
    socket.on('error', () => finish());
    socket.on('close', () => finish());
    socket.on('data', (chunk: Buffer) => {
      for (const answer of frames.push(chunk)) if (answers(answer, question)) return finish(answer);
    });
    socket.write(frame(message));
  });
}

/** A message as it goes over TCP: its length before it. */
export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Takes messages out of a TCP stream. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: Buffer[] = [];
    while (this.#rest.length >= 2) {
      const end = 2 + this.#rest.readUInt16BE(0);
      if (this.#rest.length < end) break;
      messages.push(this.#rest.subarray(2, end));
      this.#rest = this.#rest.subarray(end);
    }
    return messages;
  }
}
