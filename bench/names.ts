import { spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { linuxSyscall } from '../src/sys/index.ts';
import { dnsQuery } from '../tests/fixtures/dns.ts';
import type { BenchEngine } from './engines.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const UNDER_WAY = 32;

/** A client of the name server of a container, in the container's network. */
export class NameClient implements Disposable {
  readonly #socket: Socket;
  readonly #query: Buffer;
  readonly #who: string;

  private constructor(socket: Socket, query: Buffer, who: string) {
    this.#who = who;
    this.#socket = socket;
    this.#query = query;
  }

  /** @param name what is asked for, IPv4 */
  static async open(engine: BenchEngine, container: string, name: string): Promise<NameClient> {
    const argv = [...engine.command.slice(1), 'inspect', '-f', '{{.State.Pid}}', container];
    const { stdout } = spawnSync(engine.command[0] ?? '', argv, { env: engine.env, encoding: 'utf8' });
    const syscall = linuxSyscall();
    const fd = syscall.inNetworkNamespace(`/proc/${stdout.trim()}/ns/net`, () => {
      const made = syscall.socket(AF_INET, SOCK_DGRAM, 0);
      syscall.bind(made, '0.0.0.0', 0);
      return made;
    });
    const socket = createSocket('udp4');
    socket.bind({ fd });
    await new Promise<void>((resolve) => socket.connect(53, '127.0.0.11', resolve));
    return new NameClient(socket, dnsQuery(name, 'A'), engine.name);
  }

  /** One after the other. @returns milliseconds that all but one of a hundred take at most */
  async p99(count: number): Promise<number> {
    const times: number[] = [];
    for (let asked = 0; asked < count; asked++) {
      const began = performance.now();
      const answered = new Promise((resolve) => this.#socket.once('message', resolve));
      this.#socket.send(this.#query);
      await answered;
      times.push(performance.now() - began);
    }
    return times.sort((a, b) => a - b)[Math.floor(count * 0.99)] ?? Number.NaN;
  }

  /** Thirty-two at a time. @returns milliseconds for all; rejects when one is not answered for five seconds */
  many(count: number): Promise<number> {
    const began = performance.now();
    let sent = 0;
    let answered = 0;
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        this.#socket.off('message', onAnswer);
        clearInterval(watch);
        action();
      };
      let before = -1;
      const watch = setInterval(() => {
        if (answered === before)
          settle(() => reject(new Error(`${sent - answered} queries were not answered by ${this.#who}`)));
        before = answered;
      }, 5000);
      const ask = (): void => {
        sent++;
        this.#socket.send(this.#query);
      };
      const onAnswer = (): void => {
        answered++;
        if (answered === count) settle(() => resolve(performance.now() - began));
        else if (sent < count) ask();
      };
      this.#socket.on('message', onAnswer);
      while (sent < UNDER_WAY) ask();
    });
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
