import { spawnSync } from 'node:child_process';
import { createWatcher, linuxSyscall, type DatagramSocket } from '../src/sys/index.ts';
import { dnsQuery } from '../tests/fixtures/dns.ts';
import type { BenchEngine } from './engines.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const UNDER_WAY = 32;
const PATIENCE_MS = 5000;
/** struct sockaddr_in of the container's name server. */
const server = Buffer.of(AF_INET, 0, 0, 53, 127, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0);

/** A client of the name server of a container, in the container's network. It costs less than any server does. */
export class NameClient implements Disposable {
  readonly #socket: DatagramSocket;
  readonly #query: Buffer;
  readonly #who: string;
  #onAnswer: () => void = () => {};

  private constructor(descriptor: number, query: Buffer, who: string) {
    this.#who = who;
    this.#socket = createWatcher().openDatagrams(descriptor, () => this.#onAnswer());
    this.#query = query;
  }

  /** @param name what is asked for, IPv4 */
  static open(engine: BenchEngine, container: string, name: string): NameClient {
    const argv = [...engine.command.slice(1), 'inspect', '-f', '{{.State.Pid}}', container];
    const { stdout } = spawnSync(engine.command[0] ?? '', argv, { env: engine.env, encoding: 'utf8' });
    const syscall = linuxSyscall();
    const descriptor = syscall.inNetworkNamespace(`/proc/${stdout.trim()}/ns/net`, () => {
      const made = syscall.socket(AF_INET, SOCK_DGRAM, 0);
      syscall.bind(made, '0.0.0.0', 0);
      return made;
    });
    return new NameClient(descriptor, dnsQuery(name, 'A'), engine.name);
  }

  /** One after the other. @returns milliseconds that all but one of a hundred take at most */
  async p99(count: number): Promise<number> {
    const times: number[] = [];
    for (let asked = 0; asked < count; asked++) times.push(await this.many(1, 1));
    return times.sort((a, b) => a - b)[Math.floor(count * 0.99)] ?? Number.NaN;
  }

  /** So many at a time. @returns milliseconds for all; rejects when one is not answered for five seconds */
  many(count: number, underWay = UNDER_WAY): Promise<number> {
    const began = performance.now();
    let sent = 0;
    let answered = 0;
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        this.#onAnswer = () => {};
        clearInterval(watch);
        action();
      };
      let before = -1;
      const watch = setInterval(() => {
        if (answered === before)
          settle(() => reject(new Error(`${sent - answered} queries were not answered by ${this.#who}`)));
        before = answered;
      }, PATIENCE_MS);
      const ask = (): void => {
        sent++;
        this.#socket.send(this.#query, server);
      };
      this.#onAnswer = () => {
        answered++;
        if (answered === count) settle(() => resolve(performance.now() - began));
        else if (sent < count) ask();
      };
      while (sent < underWay) ask();
    });
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
