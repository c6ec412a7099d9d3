import { Server, type Socket } from 'node:net';
import type { DatagramSocket, DescriptorWatcher } from '../../sys/index.ts';
import {
  addressOfReverseName,
  addressRecord,
  encodeName,
  readQuestion,
  recordType,
  responseCode,
  writeAnswer,
  type AnswerRecord,
  type Question,
} from './message.ts';
import { frame, FrameReader, type Transport } from './upstream.ts';

/** What a name server of one container knows. */
export interface Names {
  /** Addresses of both families of a name in the container's networks; undefined: it is no container's. */
  addresses(name: string): string[] | undefined;
  /** The name of an address in them. */
  name(address: string): string | undefined;
  /** The resolver is to try a name without dots with its search list first: nobody else is asked for it. */
  readonly keepsShortNames: boolean;
  /** What is no container's; undefined when nobody can say. */
  forward(question: Question, message: Buffer, transport: Transport): Promise<Buffer | undefined>;
}

/** As dockerd's. */
const TTL_SECONDS = 600;
const MAX_CONNECTIONS = 64;
const IDLE_MS = 10_000;

/** Answers on a UDP and a TCP socket that are bound already. */
export class NameServer {
  readonly #names: Names;
  readonly #udp: DatagramSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();
  #isClosed = false;

  /** @param descriptors bound; they belong to the server from here on. */
  constructor(
    names: Names,
    descriptors: { udp: number; tcp: number },
    watcher: Pick<DescriptorWatcher, 'openDatagrams'>,
  ) {
    this.#names = names;
    this.#udp = watcher.openDatagrams(descriptors.udp, (message, from) =>
      this.#answerDatagram(message, from),
    );
    this.#tcp = new Server((socket) => this.#serve(socket));
    this.#tcp.on('error', () => {});
    this.#tcp.maxConnections = MAX_CONNECTIONS;
    this.#tcp.listen({ fd: descriptors.tcp });
    this.#tcp.unref();
  }

  /** The sockets are closed when this returns: they would keep the network namespace alive. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#udp.close();
    this.#tcp.close();
    for (const socket of this.#connections) socket.destroy();
  }

  #serve(socket: Socket): void {
    const frames = new FrameReader();
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.unref();
    socket.on('data', (chunk: Buffer) => {
      for (const message of frames.push(chunk)) this.#answerStream(message, socket);
    });
  }

  /** What is no question is dropped: who sends such gets no answer to make use of. */
  #answerDatagram(message: Buffer, from: Buffer): void {
    const question = readQuestion(message);
    if (question === undefined) return;
    const own = this.#ownAnswer(question, question.maxUdpBytes);
    if (own !== undefined) return this.#udp.send(own, from);
    // What came is overwritten meanwhile.
    const [asked, asker] = [Buffer.from(message), Buffer.from(from)];
    const kept = { ...question, head: asked.subarray(0, question.head.length) };
    void this.#forward(kept, asked, 'udp').then((answer) => this.#udp.send(answer, asker));
  }

  #answerStream(message: Buffer, socket: Socket): void {
    const question = readQuestion(message);
    if (question === undefined) return;
    const reply = (answer: Buffer): void => {
      if (socket.writable) socket.write(frame(answer));
    };
    const own = this.#ownAnswer(question, 65535);
    if (own === undefined) void this.#forward(question, message, 'tcp').then(reply);
    else reply(own);
  }

  async #forward(question: Question, message: Buffer, transport: Transport): Promise<Buffer> {
    const answer = await this.#names.forward(question, message, transport).catch(() => undefined);
    return answer ?? writeAnswer(question, [], { code: responseCode.serverFailure });
  }

  #ownAnswer(question: Question, maxBytes: number): Buffer | undefined {
    const records = this.#ownRecords(question);
    return records === undefined
      ? undefined
      : writeAnswer(question, records, { ttlSeconds: TTL_SECONDS, maxBytes });
  }

  /**
   * Empty for a name that has no record of this type, whatever type it is: that a name is known here and unknown
   * elsewhere must not be learnt from somebody who knows none of them. Undefined for one that is not ours.
   */
  #ownRecords({ name, type }: Question): AnswerRecord[] | undefined {
    if (type === recordType.ptr) {
      const address = addressOfReverseName(name);
      const found = address === undefined ? undefined : this.#names.name(address);
      return found === undefined ? undefined : [{ type, data: encodeName(found) }];
    }
    const addresses = this.#names.addresses(name);
    if (addresses !== undefined)
      return shuffled(addresses.map(addressRecord).filter((record) => record.type === type));
    const isAddress = type === recordType.a || type === recordType.aaaa;
    return isAddress && this.#names.keepsShortNames && !name.includes('.') ? [] : undefined;
  }
}

/** Clients take the first: each gets another one. */
function shuffled<T>(items: readonly T[]): T[] {
  if (items.length < 2) return [...items];
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
