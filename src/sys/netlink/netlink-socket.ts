import { close } from 'node:fs';
import { SyscallError } from '../../errors/index.ts';
import { errno, errnoName, libc, libcAside, syscallError } from '../linux/libc.ts';
import type { Syscall } from '../syscall.ts';
import { attributeText, readAttributes, readMessages, type Message, type MessageWriter } from './message.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
/** Protocols of netlink(7). */
export const netlinkProtocol = { route: 0, netfilter: 12 } as const;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSGERR_ATTR_MSG = 1;
const EAGAIN = 11;
const EINTR = 4;
const ENOBUFS = 105;
const POLLIN = 1;
const ANSWER_TIMEOUT_MS = 5000;
/** Above what the kernel puts into one datagram of a dump (32 KiB). */
const RECEIVE_BYTES = 64 * 1024;

type Send = (fd: number, buffer: Uint8Array, length: number, flags: number) => number;
const sendDefinition = 'long send(int fd, const void *buffer, size_t length, int flags)';
const send = libc<Send>(sendDefinition);
const sendAside = libcAside<Send>(sendDefinition);
const recv = libc<(fd: number, buffer: Uint8Array, length: number, flags: number) => number>(
  'long recv(int fd, void *buffer, size_t length, int flags)',
);
const poll = libc<(fds: Uint8Array, count: number, timeoutMs: number) => number>(
  'int poll(void *fds, unsigned long count, int timeout)',
);
const bind = libc<(fd: number, address: Uint8Array, length: number) => number>(
  'int bind(int fd, const void *address, unsigned int length)',
);
const setsockopt = libc<(fd: number, level: number, name: number, value: Uint8Array, size: number) => number>(
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int size)',
);

/** NLM_F_CAPPED and NLM_F_ACK_TLVS: attributes follow the error and the header of the request. */
const CAPPED_WITH_ATTRIBUTES = 0x100 | 0x200;

/** The kernel's own words on a failed request, where it had some. */
function extendedText(message: Message): string | undefined {
  if ((message.flags & CAPPED_WITH_ATTRIBUTES) !== CAPPED_WITH_ATTRIBUTES) return undefined;
  return attributeText(readAttributes(message.payload, 20).get(NLMSGERR_ATTR_MSG));
}

/** One buffer for all sockets: every exchange is over before the next begins. */
let receiveBuffer: Buffer | undefined;

/**
 * A socket to rtnetlink, or another netlink protocol, in the network namespace of the thread at the time of construction. Requests are answered before
 * send(2) returns, so that waiting is the exception.
 */
export class NetlinkSocket implements Disposable {
  readonly #syscall: Pick<Syscall, 'socket' | 'close'>;
  readonly #fd: number;
  readonly #protocol: number;
  #sequence = 0;

  constructor(syscall: Pick<Syscall, 'socket' | 'close'>, protocol: number = netlinkProtocol.route) {
    this.#syscall = syscall;
    this.#protocol = protocol;
    this.#fd = syscall.socket(AF_NETLINK, SOCK_RAW, protocol);
    const on = Buffer.of(1, 0, 0, 0);
    // Errors without the request echoed, but with the kernel's words; a kernel that cannot do that still works.
    setsockopt(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, on, 4);
    setsockopt(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, on, 4);
  }

  /**
   * Sends a request that has NLM_F_ACK or NLM_F_DUMP set, and gives each message of the answer to `onMessage`, which must
   * not keep its payload.
   * @throws {SyscallError} with `action` and `object` as its syscall and path.
   */
  request(
    writer: MessageWriter,
    action: string,
    object: string,
    onMessage?: (message: Message) => void,
  ): void {
    const sequence = ++this.#sequence;
    const bytes = writer.finish(sequence);
    if (send(this.#fd, bytes, bytes.length, 0) < 0) throw syscallError('send', errno(), 'netlink');
    this.#readAnswer(sequence, action, object, onMessage);
  }

  /** As request(), with another thread in the kernel, which does all within send(2). Nothing else may be asked meanwhile. */
  async requestAside(writer: MessageWriter, action: string, object: string): Promise<void> {
    const sequence = ++this.#sequence;
    const bytes = writer.finish(sequence);
    if ((await sendAside(this.#fd, bytes, bytes.length, 0)) < 0)
      throw new SyscallError('send', 'EIO', 'netlink');
    this.#readAnswer(sequence, action, object);
  }

  #readAnswer(
    sequence: number,
    action: string,
    object: string,
    onMessage: (message: Message) => void = () => {},
  ): void {
    for (;;) {
      for (const message of readMessages(this.#receive())) {
        // Left over from a request that was given up.
        if (message.sequence !== sequence) continue;
        if (message.type === NLMSG_DONE) return;
        if (message.type === NLMSG_ERROR) {
          const code = -message.payload.readInt32LE(0);
          if (code === 0) return;
          const words = extendedText(message);
          const plain = syscallError(action, code, object);
          if (words === undefined) throw plain;
          throw new SyscallError(action, errnoName(code), object, `${plain.errno}: ${words}`);
        }
        onMessage(message);
      }
    }
  }

  /**
   * Sends requests that take effect together, with `begin` and `end` around them; all have NLM_F_ACK set.
   * @throws {SyscallError} of the first that is refused; nothing is changed then.
   */
  transact(
    { begin, end }: { begin: MessageWriter; end: MessageWriter },
    writers: readonly MessageWriter[],
    action: string,
    object: string,
  ): void {
    const first = this.#sequence + 2;
    const all = [begin, ...writers, end].map((writer) => writer.finish(++this.#sequence));
    const bytes = Buffer.concat(all);
    if (send(this.#fd, bytes, bytes.length, 0) < 0) throw syscallError('send', errno(), 'netlink');
    let failure: SyscallError | undefined;
    for (let answers = 0; answers < writers.length;) {
      for (const message of readMessages(this.#receive())) {
        if (message.sequence < first - 1 || message.type !== NLMSG_ERROR) continue;
        answers++;
        const code = -message.payload.readInt32LE(0);
        if (code !== 0) failure ??= syscallError(action, code, object);
        // Refused as a whole: nothing else is answered.
        if (message.sequence === first - 1) throw failure ?? syscallError(action, code, object);
      }
    }
    if (failure !== undefined) throw failure;
  }

  get fd(): number {
    return this.#fd;
  }

  /** From here on the socket hears what these multicast groups are told. To be called once. */
  join(groups: readonly number[]): void {
    // struct sockaddr_nl with no address: the kernel gives one. It passes over sockets that have none.
    const name = Buffer.alloc(12);
    name.writeUInt16LE(AF_NETLINK, 0);
    if (bind(this.#fd, name, name.length) < 0) throw syscallError('bind', errno(), 'netlink');
    for (const group of groups) {
      const number = Buffer.alloc(4);
      number.writeUInt32LE(group);
      if (setsockopt(this.#fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, number, 4) < 0)
        throw syscallError('setsockopt', errno(), 'netlink');
    }
  }

  /**
   * Gives what groups were told since the last call to `onMessage`, which must not keep payloads.
   * @returns false when the kernel had to leave something out
   */
  hear(onMessage: (message: Message) => void): boolean {
    receiveBuffer ??= Buffer.allocUnsafeSlow(RECEIVE_BYTES);
    let isComplete = true;
    for (;;) {
      const length = Number(recv(this.#fd, receiveBuffer, RECEIVE_BYTES, 0));
      if (length >= 0) {
        for (const message of readMessages(receiveBuffer.subarray(0, length))) onMessage(message);
        continue;
      }
      const number = errno();
      if (number === EINTR) continue;
      if (number === EAGAIN) return isComplete;
      if (number !== ENOBUFS) throw syscallError('recv', number, 'netlink');
      isComplete = false;
    }
  }

  [Symbol.dispose](): void {
    // The kernel lets whoever closes one wait until what nftables deleted a moment ago is gone: some 20 ms.
    if (this.#protocol === netlinkProtocol.netfilter) close(this.#fd, () => {});
    else this.#syscall.close(this.#fd);
  }

  #receive(): Buffer {
    receiveBuffer ??= Buffer.allocUnsafeSlow(RECEIVE_BYTES);
    for (;;) {
      const length = Number(recv(this.#fd, receiveBuffer, RECEIVE_BYTES, 0));
      if (length >= 0) return receiveBuffer.subarray(0, length);
      const number = errno();
      if (number === EINTR) continue;
      if (number !== EAGAIN) throw syscallError('recv', number, 'netlink');
      const pollFd = Buffer.alloc(8);
      pollFd.writeInt32LE(this.#fd, 0);
      pollFd.writeInt16LE(POLLIN, 4);
      if (poll(pollFd, 1, ANSWER_TIMEOUT_MS) === 0) throw new SyscallError('recv', 'ETIMEDOUT', 'netlink');
    }
  }
}
