import { randomBytes } from 'node:crypto';
import { isKind } from '../../errors/index.ts';
import { parseIp, type Netlink } from '../../sys/index.ts';
import { AddressPool, parseSubnet } from '../ipam/index.ts';
import type { BridgeRecord } from '../network-records.ts';

export interface BridgeEndpoint {
  interface: string;
  hostInterface: string;
  address: string;
  prefixLength: number;
  gateway: string;
  mac: string;
}

/** One bridge that is up, and the addresses of its subnet. */
export class BridgeNetwork {
  readonly record: BridgeRecord;
  readonly #netlink: Netlink;
  readonly #addresses: AddressPool;
  readonly #prefixLength: number;

  constructor(netlink: Netlink, record: BridgeRecord) {
    const subnet = parseSubnet(record.subnet);
    this.record = record;
    this.#netlink = netlink;
    this.#prefixLength = subnet.prefixLength;
    this.#addresses = new AddressPool(
      subnet,
      record.range === undefined ? subnet : parseSubnet(record.range),
    );
    this.#addresses.reserve(record.gateway);
    for (const address of record.auxiliary ?? []) this.adopt(address);
  }

  /** The address of an endpoint that is there already. */
  adopt(address: string): void {
    try {
      this.#addresses.reserve(address);
    } catch (error) {
      // The subnet was changed while the container ran: its address is no longer one of ours to give.
      if (!isKind(error, 'invalid-parameter')) throw error;
    }
  }

  /** The opposite of adopt(). */
  release(address: string): void {
    this.#addresses.release(address);
  }

  /** A veth pair from the bridge into the namespace, its end there still down. Returns the name of the host's end. */
  makeLink(sandboxPath: string, name: string, mac?: string): string {
    const hostInterface = `cor${randomBytes(4).toString('hex').slice(0, 7)}`;
    this.#netlink.createVeth({
      name: hostInterface,
      bridge: this.record.name,
      peerName: name,
      peerNamespace: sandboxPath,
      ...(mac === undefined ? {} : { peerMac: mac }),
      mtu: this.record.mtu,
    });
    if (this.record.neighbours === false) this.#netlink.setBridgePort(hostInterface, { isolated: true });
    return hostInterface;
  }

  /**
   * A link into the namespace, or the one that was made ahead, with address and, when asked, the default route.
   * @throws {EngineError} `unavailable` when the subnet is full; SyscallError; nothing is left then.
   */
  connect(request: {
    sandboxPath: string;
    interface: string;
    mac: string | undefined;
    address: string | undefined;
    defaultRoute: boolean;
    /** Host's end of a link that makeLink() made under the same name. */
    madeAhead: string | undefined;
  }): BridgeEndpoint {
    const { gateway } = this.record;
    if (request.address !== undefined) this.#addresses.reserve(request.address);
    const address = request.address ?? this.#addresses.allocate();
    const prefixLength = this.#prefixLength;
    let hostInterface = request.madeAhead;
    try {
      const mac = request.mac ?? macOf(address);
      hostInterface ??= this.makeLink(request.sandboxPath, request.interface, mac);
      this.#netlink.inNamespace(request.sandboxPath, (inside) => {
        inside.setLink(request.interface, request.madeAhead === undefined ? { up: true } : { mac, up: true });
        inside.addAddress(request.interface, `${address}/${prefixLength}`);
        if (request.defaultRoute) inside.addRoute({ destination: 'default', gateway });
      });
      return { interface: request.interface, hostInterface, address, prefixLength, gateway, mac };
    } catch (error) {
      if (hostInterface !== undefined) this.#netlink.deleteLink(hostInterface);
      this.#addresses.release(address);
      throw error;
    }
  }

  /** Takes the endpoint out of a sandbox that lives on. Deleting a link waits for the kernel: some 20 ms. */
  disconnect(endpoint: { hostInterface: string; address: string }): void {
    this.#netlink.deleteLink(endpoint.hostInterface);
    this.#addresses.release(endpoint.address);
  }

  /**
   * For a sandbox that is about to go: the kernel deletes the link with it, but later. Until then it would answer for an
   * address that is free again, so that the address is taken off it now.
   */
  abandon(
    endpoint: { interface: string; hostInterface: string; address: string },
    sandboxPath: string,
  ): void {
    try {
      this.#netlink.inNamespace(sandboxPath, (inside) => {
        inside.removeAddress(endpoint.interface, `${endpoint.address}/${this.#prefixLength}`);
      });
      this.#addresses.release(endpoint.address);
    } catch {
      // The namespace is gone, or the container renamed or took away its link.
      this.disconnect(endpoint);
    }
  }
}

/** dockerd's until version 27: `02:42` and the four bytes of the address, so that an address keeps its MAC. */
function macOf(address: string): string {
  const bytes = [0x02, 0x42, ...parseIp(address).bytes];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
