import { createHash } from 'node:crypto';
import { EngineError, SyscallError } from '../../errors/index.ts';
import type { Netlink } from '../../sys/index.ts';
import {
  chooseSubnet,
  formatAddress,
  formatSubnet,
  hostSubnet,
  overlaps,
  parseSubnet,
  type AddressPoolOption,
  type Family,
  type Subnet,
} from '../ipam/index.ts';
import { refuseRouterAdvertisements, setIpv6 } from '../linked-network.ts';
import type { PoolRecord } from '../network-records.ts';

export interface BridgeRequest {
  netlink: Netlink;
  /** Marks the link as this network's own: `coracle <network id>`. */
  owner: string;
  /** Its name before, to be found or made again. */
  nameBefore: string | undefined;
  /** A fixed name, which is adopted whoever made it; absent: the first of `coracle0`, `coracle1` … that is free or ours. */
  name: string | undefined;
  mtu: number | undefined;
  addresses: readonly AddressRequest[];
  /** The network has IPv6, be it that the bridge itself has no address. */
  ipv6: boolean;
}

/** The bridge's own address of one family. */
export type AddressRequest =
  | { kind: 'fixed'; cidr: string }
  | {
      kind: 'free';
      family: Family;
      /** With prefix, when the user chose it. */
      chosen: string | undefined;
      /** What it had before. */
      before: PoolRecord | undefined;
      pools: readonly AddressPoolOption[];
      /** Addresses that containers must be able to reach outside: the host's name servers. */
      avoid: readonly string[];
      /** Containers are attached: addresses must stay. */
      inUse: boolean;
    };

export interface BridgeLink {
  name: string;
  mtu: number;
  /** With prefix, in the order asked for. */
  addresses: readonly string[];
}

const MAX_BRIDGES = 256;
const DEFAULT_MTU = 1500;
/** The kernel's own table of local addresses. */
const LOCAL_TABLE = 255;

/**
 * Finds or makes the bridge: link, addresses, up. What is there already and ours is kept, what is missing is added. Other
 * engines do the same on this machine at the same time: a name that another took in between is given up for the next.
 * @throws {EngineError} `unavailable` when no subnet or name is free.
 */
export function ensureBridge(request: BridgeRequest): BridgeLink {
  const { netlink, owner } = request;
  for (const name of candidateNames(request)) {
    const link = netlink.links().find((other) => other.name === name);
    if (link !== undefined && request.name === undefined && link.alias !== owner) continue;
    if (link !== undefined && link.kind !== 'bridge') {
      throw new EngineError('conflict', `Cannot use ${name} as a bridge: it is a ${link.kind ?? 'device'}`);
    }
    const mtu = request.mtu ?? link?.mtu ?? egressMtu(netlink);
    let made = false;
    try {
      if (link === undefined) {
        // An address of its own: without, a bridge takes that of a port, and changes with them. The same whenever it is
        // made again: containers know it.
        const digits = createHash('sha256').update(owner).digest('hex').slice(0, 8);
        const mac = `02:42:${digits.match(/../g)?.join(':')}`;
        netlink.createBridge(name, { mac, mtu });
        made = true;
        netlink.setLink(name, { alias: owner });
      }
      setIpv6(name, request.ipv6);
      if (request.ipv6) refuseRouterAdvertisements(name);
      const addresses = request.addresses.map((one) => ensureAddress(request, name, one));
      netlink.setLink(name, { up: true });
      return { name, mtu, addresses };
    } catch (error) {
      if (made) netlink.deleteLink(name);
      else if (request.name === undefined && error instanceof SyscallError && error.errno === 'EEXIST')
        continue;
      throw error;
    }
  }
  throw new EngineError('unavailable', 'Cannot make a bridge: no name is free');
}

function* candidateNames({ name, nameBefore }: BridgeRequest): Generator<string> {
  if (name !== undefined) return yield name;
  if (nameBefore !== undefined) yield nameBefore;
  for (let number = 0; number < MAX_BRIDGES; number++) yield `coracle${number}`;
}

function ensureAddress(
  { netlink, name: fixedName }: BridgeRequest,
  name: string,
  wanted: AddressRequest,
): string {
  if (wanted.kind === 'fixed') {
    netlink.addAddress(name, wanted.cidr, { replace: true });
    return wanted.cidr;
  }
  const { family } = wanted;
  const present = netlink
    .addresses()
    .filter((one) => one.link === name && one.family === family && one.scope === SCOPE_UNIVERSE)
    .map(({ address, prefixLength }) => `${address}/${prefixLength}`);
  const [adopted] = present;
  // A chosen address waits while containers use another.
  const chosen =
    wanted.chosen === undefined || (wanted.inUse && adopted !== undefined) ? adopted : wanted.chosen;
  for (let attempt = 0; ; attempt++) {
    const address = chosen ?? pickAddress(netlink, name, wanted);
    for (const other of present) {
      if (other !== address && fixedName === undefined) netlink.removeAddress(name, other);
    }
    netlink.addAddress(name, address, { replace: true });
    netlink.setLink(name, { up: true });
    if (chosen !== undefined || !isRacedAway(netlink, name, parseSubnet(address))) return address;
    if (attempt === 3)
      throw new EngineError('unavailable', `Cannot give ${name} a subnet: all were taken meanwhile`);
    netlink.removeAddress(name, address);
  }
}

/** Of an address: valid everywhere. That which the kernel makes for every link itself is not. */
const SCOPE_UNIVERSE = 0;

/** The subnet it had before, or the first of the pools that nothing on this machine uses; the bridge gets the first address. */
function pickAddress(netlink: Netlink, name: string, wanted: AddressRequest & { kind: 'free' }): string {
  const { family, before, pools, avoid } = wanted;
  const taken = [...takenSubnets(netlink, name), ...avoid.map(hostSubnet)];
  if (before?.gateway !== undefined && !taken.some((other) => overlaps(other, parseSubnet(before.subnet)))) {
    return `${before.gateway}/${parseSubnet(before.subnet).prefixLength}`;
  }
  const subnet = chooseSubnet(pools, taken, family);
  return `${formatAddress(subnet.base + 1n, family)}/${subnet.prefixLength}`;
}

/** Networks of both families that the host has an address in or a route to. */
export function takenSubnets(netlink: Netlink, except = ''): Subnet[] {
  const routed = netlink
    .routes()
    .filter(
      ({ destination, table, link }) => destination !== 'default' && table !== LOCAL_TABLE && link !== except,
    )
    .map(({ destination }) => destination);
  const own = netlink
    .addresses()
    .filter(({ link }) => link !== except)
    .map(({ address, prefixLength }) => `${address}/${prefixLength}`);
  return [...routed, ...own].map(parseSubnet);
}

/** Another engine chose the same subnet at the same moment: the older link keeps it. */
function isRacedAway(netlink: Netlink, name: string, subnet: Subnet): boolean {
  const own = netlink.linkIndex(name) ?? 0;
  return netlink.addresses().some(({ link, address, prefixLength }) => {
    if (link === name || !overlaps(parseSubnet(`${address}/${prefixLength}`), subnet)) return false;
    return (netlink.linkIndex(link) ?? own) < own;
  });
}

/** A container's packets must fit where they go out: clouds and tunnels have less than Ethernet's 1500. */
export function egressMtu(netlink: Netlink): number {
  const out = netlink
    .routes()
    .find(({ destination, family }) => destination === 'default' && family === 4)?.link;
  const mtu = netlink.links().find(({ name }) => name === out)?.mtu ?? DEFAULT_MTU;
  return Math.min(mtu, DEFAULT_MTU);
}

/** A bridge's address as its network's pool. */
export function poolOf(address: string): PoolRecord & { gateway: string } {
  return { subnet: formatSubnet(parseSubnet(address)), gateway: address.slice(0, address.indexOf('/')) };
}
