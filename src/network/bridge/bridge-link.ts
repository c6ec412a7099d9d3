import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { EngineError, SyscallError } from '../../errors/index.ts';
import type { Netlink } from '../../sys/index.ts';
import {
  chooseSubnet,
  formatAddress,
  formatSubnet,
  overlaps,
  parseSubnet,
  type AddressPoolOption,
  type Subnet,
} from '../ipam/index.ts';
import type { BridgeRecord } from '../network-records.ts';

export interface BridgeRequest {
  netlink: Netlink;
  /** Marks the link as this network's own: `coracle <network id>`. */
  owner: string;
  /** What was set up before, to be found or made again. */
  before: BridgeRecord | undefined;
  /** A fixed name, which is adopted whoever made it; absent: the first of `coracle0`, `coracle1` … that is free or ours. */
  name: string | undefined;
  /** The bridge's address with prefix, when the user chose it. */
  address: string | undefined;
  pools: readonly AddressPoolOption[];
  mtu: number | undefined;
  /** Addresses that containers must be able to reach outside: the host's name servers. */
  avoid: readonly string[];
  /** Containers are attached: addresses must stay. */
  inUse: boolean;
}

const MAX_BRIDGES = 256;
const DEFAULT_MTU = 1500;
/** The kernel's own table of local addresses. */
const LOCAL_TABLE = 255;

/**
 * Finds or makes the bridge: link, address, up. What is there already and ours is kept, what is missing is added. Other
 * engines do the same on this machine at the same time: a name that another took in between is given up for the next.
 * @throws {EngineError} `unavailable` when no subnet or name is free.
 */
export function ensureBridge(request: BridgeRequest): BridgeRecord {
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
        // An address of its own: without, a bridge takes that of a port, and changes with them.
        const mac = `02:42:${randomBytes(4).toString('hex').match(/../g)?.join(':')}`;
        netlink.createBridge(name, { mac, mtu });
        made = true;
        netlink.setLink(name, { alias: owner });
      }
      return { name, mtu, ...ensureAddress(request, name) };
    } catch (error) {
      if (made) netlink.deleteLink(name);
      else if (request.name === undefined && error instanceof SyscallError && error.errno === 'EEXIST')
        continue;
      throw error;
    }
  }
  throw new EngineError('unavailable', 'Cannot make a bridge: no name is free');
}

function* candidateNames({ name, before }: BridgeRequest): Generator<string> {
  if (name !== undefined) return yield name;
  if (before !== undefined) yield before.name;
  for (let number = 0; number < MAX_BRIDGES; number++) yield `coracle${number}`;
}

function ensureAddress(request: BridgeRequest, name: string): { subnet: string; gateway: string } {
  const { netlink } = request;
  const present = netlink
    .addresses()
    .filter(({ link, family }) => link === name && family === 4)
    .map(({ address, prefixLength }) => `${address}/${prefixLength}`);
  const [adopted] = present;
  // A chosen address waits while containers use another.
  const chosen =
    request.address === undefined || (request.inUse && adopted !== undefined) ? adopted : request.address;
  for (let attempt = 0; ; attempt++) {
    const address = chosen ?? pickAddress(request, name);
    for (const other of present) {
      if (other !== address && request.name === undefined) netlink.removeAddress(name, other);
    }
    netlink.addAddress(name, address, { replace: true });
    disableIpv6(name);
    netlink.setLink(name, { up: true });
    const gateway = address.slice(0, address.indexOf('/'));
    const subnet = formatSubnet(parseSubnet(address));
    if (chosen !== undefined || !isRacedAway(netlink, name, parseSubnet(address))) return { subnet, gateway };
    if (attempt === 3)
      throw new EngineError('unavailable', `Cannot give ${name} a subnet: all were taken meanwhile`);
    netlink.removeAddress(name, address);
  }
}

/** The subnet it had before, or the first of the pools that nothing on this machine uses; the bridge gets the first address. */
function pickAddress({ netlink, before, pools, avoid }: BridgeRequest, name: string): string {
  const taken = takenSubnets(netlink, name).concat(avoid.map((address) => parseSubnet(`${address}/32`)));
  if (before !== undefined && !taken.some((other) => overlaps(other, parseSubnet(before.subnet)))) {
    return `${before.gateway}/${parseSubnet(before.subnet).prefixLength}`;
  }
  const subnet = chooseSubnet(pools, taken);
  return `${formatAddress(subnet.base + 1)}/${subnet.prefixLength}`;
}

/** Networks that the host has an address in or a route to. */
export function takenSubnets(netlink: Netlink, except = ''): Subnet[] {
  const routed = netlink
    .routes()
    .filter(
      ({ family, destination, table, link }) =>
        family === 4 && destination !== 'default' && table !== LOCAL_TABLE && link !== except,
    )
    .map(({ destination }) => destination);
  const own = netlink
    .addresses()
    .filter(({ family, link }) => family === 4 && link !== except)
    .map(({ address, prefixLength }) => `${address}/${prefixLength}`);
  return [...routed, ...own].map(parseSubnet);
}

/** Another engine chose the same subnet at the same moment: the older link keeps it. */
function isRacedAway(netlink: Netlink, name: string, subnet: Subnet): boolean {
  const own = netlink.linkIndex(name) ?? 0;
  return netlink.addresses().some(({ link, family, address, prefixLength }) => {
    if (link === name || family !== 4 || !overlaps(parseSubnet(`${address}/${prefixLength}`), subnet))
      return false;
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

/** The network has no IPv6: no address of the bridge's own making either, which containers could reach it by. */
function disableIpv6(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
