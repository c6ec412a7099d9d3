import { existsSync, writeFileSync } from 'node:fs';
import type { Netlink } from '../../sys/index.ts';
import { setIpv6 } from '../linked-network.ts';

/** Two links that are each other's ends, by which packets of outside come again when the host's firewall let them in. */
export interface Gate {
  out: string;
  in: string;
}

/** The largest packet of all, since pieces have been put together by then. */
const MTU = 65535;
const MAC = '02:42:00:00:00:01';

/** Names of the links of an engine, by the id of its default network. */
export function gateOf(networkId: string): Gate {
  return { out: `cog${networkId.slice(0, 10)}o`, in: `cog${networkId.slice(0, 10)}i` };
}

/** Makes the links where they are not there. */
export function ensureGate(netlink: Netlink, gate: Gate, bridge: string): void {
  if (netlink.linkIndex(gate.out) === undefined) {
    netlink.createVeth({
      name: gate.out,
      bridge,
      peerName: gate.in,
      peerNamespace: '/proc/self/ns/net',
      mtu: MTU,
    });
    netlink.setLink(gate.out, { master: null });
  }
  for (const name of [gate.in, gate.out]) {
    if (existsSync('/proc/sys/net/ipv6')) setIpv6(name, true);
    // Both ends have one address, so that what is sent by the one is for the other, without a question.
    netlink.setLink(name, { mac: MAC, arp: false, up: true });
  }
  // The kernel takes packets of strangers from a link only if the link has an address: RFC 7600's, which means nobody.
  netlink.addAddress(gate.in, '192.0.0.8/32', { replace: true });
  // Senders are anywhere but here: that there is some way to them must do, also where the machine is strict.
  writeFileSync(`/proc/sys/net/ipv4/conf/${gate.in}/rp_filter`, '2');
}

export function removeGate(netlink: Netlink, gate: Gate): void {
  if (netlink.linkIndex(gate.out) !== undefined) netlink.deleteLink(gate.out);
}
