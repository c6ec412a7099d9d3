import { closeSync, openSync } from 'node:fs';
import { SyscallError } from '../../errors/index.ts';
import type { LinkKind, Netlink } from '../netlink.ts';
import type { Syscall } from '../syscall.ts';
import {
  addressMessage,
  dumpMessage,
  forwardingMessage,
  neighbourMessage,
  readAddress,
  readRoute,
  routeMessage,
} from './address-message.ts';
import { deleteFlowMessage, dumpFlowsMessage, readUdpFlow } from './conntrack-message.ts';
import { parseIp } from './ip-address.ts';
import {
  createBridgeMessage,
  createLinkMessage,
  createVethMessage,
  deleteLinkMessage,
  getLinkMessage,
  readLink,
  rtm,
  setBridgePortMessage,
  setLinkMessage,
} from './link-message.ts';
import type { Message, MessageWriter } from './message.ts';
import { NetlinkSocket, netlinkProtocol } from './netlink-socket.ts';
import {
  batchMessages,
  dumpChainsMessage,
  elementMessage,
  dumpRulesMessage,
  getTableMessage,
  NEW_RULE,
  readDroppingForwardChain,
  type FirewallElement,
  type FirewallFamily,
  type ForwardChain,
} from './nftables-message.ts';
import { offsetTranslationMessage, redirectionMessages, type OffsetTranslation } from './nftables-rule.ts';

const TRANSACTION_MESSAGES = 100;

type NetlinkSyscall = Pick<Syscall, 'socket' | 'close' | 'inNetworkNamespace'>;

/** rtnetlink of the network namespace that the thread is in when it is made. */
export function createNetlink(syscall: NetlinkSyscall): Netlink {
  return new LinuxNetlink(syscall);
}

class LinuxNetlink implements Netlink {
  readonly #syscall: NetlinkSyscall;
  readonly #socket: NetlinkSocket;
  #netfilter: NetlinkSocket | undefined;
  /** Only inside of a namespace, which nobody else changes in the moment that this lives. */
  readonly #indexes: Map<string, number> | undefined;

  constructor(syscall: NetlinkSyscall, isBrief = false) {
    this.#syscall = syscall;
    this.#indexes = isBrief ? new Map() : undefined;
    this.#socket = new NetlinkSocket(syscall);
  }

  inNamespace<T>(path: string, body: (netlink: Netlink) => T): T {
    return this.#syscall.inNetworkNamespace(path, () => {
      const inside = new LinuxNetlink(this.#syscall, true);
      try {
        return body(inside);
      } finally {
        inside.close();
      }
    });
  }

  linkIndex(name: string): number | undefined {
    let index: number | undefined;
    try {
      this.#request(getLinkMessage(name), 'get link', name, (message) => {
        index = message.payload.readInt32LE(4);
      });
    } catch (error) {
      if (error instanceof SyscallError && error.errno === 'ENODEV') return undefined;
      throw error;
    }
    return index;
  }

  links(): ReturnType<Netlink['links']> {
    const links: ReturnType<Netlink['links']> = [];
    this.#request(getLinkMessage(), 'list links', '', ({ type, payload }) => {
      if (type === rtm.newLink) links.push(readLink(payload));
    });
    return links;
  }

  createBridge(name: string, options: { mac?: string; mtu?: number } = {}): void {
    this.#request(createBridgeMessage(name, options), 'create bridge', name);
  }

  createVeth(options: Parameters<Netlink['createVeth']>[0]): void {
    const masterIndex = this.#indexOf(options.bridge);
    const peerNamespaceFd = openSync(options.peerNamespace, 'r');
    try {
      this.#request(
        createVethMessage({ ...options, masterIndex, peerNamespaceFd }),
        'create veth',
        options.name,
      );
    } finally {
      closeSync(peerNamespaceFd);
    }
  }

  createLink(name: string, kind: LinkKind, options: Parameters<Netlink['createLink']>[2] = {}): void {
    const { namespace, ...plain } = options;
    const on = 'parent' in kind ? this.#indexOf(kind.parent) : undefined;
    const namespaceFd = namespace === undefined ? undefined : openSync(namespace, 'r');
    try {
      const message = createLinkMessage(name, kind, { on, namespaceFd, ...plain });
      this.#request(message, `create ${kind.kind}`, name);
    } finally {
      if (namespaceFd !== undefined) closeSync(namespaceFd);
    }
  }

  deleteLink(name: string): void {
    try {
      this.#request(deleteLinkMessage(name), 'delete link', name);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }

  async deleteLinkAside(name: string): Promise<void> {
    // Its answer must not come between those to others.
    using socket = new NetlinkSocket(this.#syscall);
    try {
      await socket.requestAside(deleteLinkMessage(name), 'delete link', name);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }

  setLink(name: string, change: Parameters<Netlink['setLink']>[1]): void {
    const { master, ...plain } = change;
    const masterIndex = master === undefined ? undefined : master === null ? 0 : this.#indexOf(master);
    const message = setLinkMessage(this.#indexOf(name), {
      ...plain,
      ...(masterIndex === undefined ? {} : { masterIndex }),
    });
    this.#request(message, 'set link', name);
  }

  setBridgePort(name: string, change: { hairpin?: boolean; isolated?: boolean }): void {
    this.#request(setBridgePortMessage(this.#indexOf(name), change), 'set bridge port', name);
  }

  addAddress(link: string, address: string, options?: { broadcast?: boolean; replace?: boolean }): void {
    this.#request(addressMessage(this.#indexOf(link), address, options), 'add address', `${address} ${link}`);
  }

  removeAddress(link: string, address: string): void {
    const message = addressMessage(this.#indexOf(link), address, { remove: true });
    this.#request(message, 'remove address', `${address} ${link}`);
  }

  addresses(): ReturnType<Netlink['addresses']> {
    const names = this.#linkNames();
    const found: ReturnType<Netlink['addresses']> = [];
    this.#request(dumpMessage(rtm.getAddress), 'list addresses', '', ({ type, payload }) => {
      if (type !== rtm.newAddress) return;
      const { index, label, ...address } = readAddress(payload);
      found.push({ link: names.get(index) ?? label ?? '', ...address });
    });
    return found;
  }

  addRoute(route: Parameters<Netlink['addRoute']>[0]): void {
    const index = route.link === undefined ? undefined : this.#indexOf(route.link);
    this.#request(routeMessage(route, index), 'add route', route.destination);
  }

  removeRoute(route: Parameters<Netlink['removeRoute']>[0]): void {
    const index = route.link === undefined ? undefined : this.#indexOf(route.link);
    this.#request(routeMessage(route, index, true), 'remove route', route.destination);
  }

  routes(): ReturnType<Netlink['routes']> {
    const names = this.#linkNames();
    const found: ReturnType<Netlink['routes']> = [];
    this.#request(dumpMessage(rtm.getRoute), 'list routes', '', ({ type, payload }) => {
      const read = type === rtm.newRoute ? readRoute(payload) : undefined;
      if (read === undefined) return;
      const { index, ...route } = read;
      const link = index === undefined ? undefined : names.get(index);
      found.push({ ...route, ...(link === undefined ? {} : { link }) });
    });
    return found;
  }

  addNeighbour(link: string, address: string, mac: string): void {
    this.#request(neighbourMessage(this.#indexOf(link), address, mac), 'add neighbour', address);
  }

  setBridgePortMac(name: string, mac: string): void {
    this.#request(forwardingMessage(this.#indexOf(name), mac), 'set forwarding entry', name);
  }

  firewallTableExists(name: string, family: FirewallFamily = 'inet'): boolean {
    try {
      this.#openNetfilter().request(getTableMessage(name, family), 'get table', name);
      return true;
    } catch (error) {
      if (error instanceof SyscallError && error.errno === 'ENOENT') return false;
      throw error;
    }
  }

  firewallRuleCount(name: string): number {
    let count = 0;
    this.#openNetfilter().request(dumpRulesMessage(name), 'list rules', name, ({ type }) => {
      if (type === NEW_RULE) count++;
    });
    return count;
  }

  changeFirewall(action: 'add' | 'delete', elements: readonly FirewallElement[]): void {
    this.#transact(elements, (one) => elementMessage(action, one), `${action} elements`);
  }

  droppingForwardChains(): ForwardChain[] {
    const chains: ForwardChain[] = [];
    this.#openNetfilter().request(dumpChainsMessage(), 'list chains', '', (message) => {
      const chain = readDroppingForwardChain(message);
      if (chain !== undefined) chains.push(chain);
    });
    return chains;
  }

  addOffsetTranslations(rules: readonly OffsetTranslation[]): void {
    this.#transact(rules, offsetTranslationMessage, 'add rules');
  }

  redirectPort(table: string, redirection: Parameters<Netlink['redirectPort']>[1]): void {
    const { address, ...ports } = redirection;
    const wanted = { ...ports, address: parseIp(address).bytes };
    const write = (before: 'kept' | 'replaced'): void =>
      this.#openNetfilter().transact(
        batchMessages(),
        redirectionMessages(table, wanted, before),
        'write table',
        table,
      );
    try {
      // Mostly there is none. Deleting costs the kernel a wait when the socket is closed.
      write('kept');
    } catch (error) {
      if (!(error instanceof SyscallError && error.errno === 'EEXIST')) throw error;
      write('replaced');
    }
  }

  #transact<T extends { table: string }>(
    items: readonly T[],
    message: (item: T) => MessageWriter,
    action: string,
  ): void {
    const netfilter = this.#openNetfilter();
    // The answers of one transaction must fit into the socket's buffer.
    for (let at = 0; at < items.length; at += TRANSACTION_MESSAGES) {
      const part = items.slice(at, at + TRANSACTION_MESSAGES);
      netfilter.transact(batchMessages(), part.map(message), action, part[0]?.table ?? '');
    }
  }

  forgetUdpFlows(ports: ReadonlySet<number>): void {
    const netfilter = this.#openNetfilter();
    const tuples: Buffer[] = [];
    netfilter.request(dumpFlowsMessage(), 'list flows', 'udp', ({ payload }) => {
      const flow = readUdpFlow(payload);
      if (flow !== undefined && ports.has(flow.port)) tuples.push(flow.tuple);
    });
    for (const tuple of tuples) {
      try {
        netfilter.request(deleteFlowMessage(tuple), 'delete flow', 'udp');
      } catch (error) {
        // It ended by itself meanwhile.
        if (!(error instanceof SyscallError && error.errno === 'ENOENT')) throw error;
      }
    }
  }

  close(): void {
    this.#socket[Symbol.dispose]();
    this.#netfilter?.[Symbol.dispose]();
  }

  #openNetfilter(): NetlinkSocket {
    return (this.#netfilter ??= new NetlinkSocket(this.#syscall, netlinkProtocol.netfilter));
  }

  #indexOf(name: string): number {
    const index = this.#indexes?.get(name) ?? this.linkIndex(name);
    if (index === undefined) throw new SyscallError('get link', 'ENODEV', name);
    this.#indexes?.set(name, index);
    return index;
  }

  #linkNames(): Map<number, string> {
    return new Map(this.links().map(({ index, name }) => [index, name]));
  }

  #request(
    writer: MessageWriter,
    action: string,
    object: string,
    onMessage?: (message: Message) => void,
  ): void {
    this.#socket.request(writer, action, object, onMessage);
  }
}

/** The kernel deletes links itself when their namespace ends: somewhen, so perhaps just now. */
const isAbsent = (error: unknown): boolean => error instanceof SyscallError && error.errno === 'ENODEV';
