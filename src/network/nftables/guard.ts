import { parseIp } from '../../sys/index.ts';
import { addressField, linkField, macField, portField, protocolField, type Element } from './element.ts';
import type { BridgeRules } from './ruleset.ts';

/** A port of the bridge and what the container behind it was given. */
export interface GuardedPort {
  /** Name of the host's end of its link. */
  link: string;
  mac: string;
  /** Of both families. */
  addresses: readonly string[];
}

/** One port that a container may reach another at, where neighbours are kept apart. */
export interface LinkedPort {
  from: string;
  to: string;
  protocol: 'tcp' | 'udp' | 'sctp';
  port: number;
}

/**
 * nft(8) commands for the bridge's own ports. Each may send from its own link address only, and from those of the
 * network's addresses that are its own: no container speaks for another or for the gateway, be it in IP, ARP or neighbour
 * advertisements. Addresses that are none of the network's pass here (a container may route for others); they do not
 * leave the bridge. Containers advertise no routers.
 *
 * Tables of other bridges see the packets, too; they are left at the first rule.
 */
export function guardCommands(rules: BridgeRules, name: string): string {
  const { subnet, subnet6, neighbours = true } = rules;
  const table = `bridge ${name}`;
  return `table ${table}
delete table ${table}
table ${table} {
  set links { type ifname; }
  set macs { type ifname . ether_addr; }
  set sources { type ifname . ipv4_addr; }
  set sources6 { type ifname . ipv6_addr; }
  set targets6 { typeof iifname . @th,64,128; }
  set linked { type ipv4_addr . ipv4_addr . inet_proto . inet_service; }
  set linked6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service; }
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname @links jump own_sources
  }
  chain own_sources {
    iifname . ether saddr != @macs drop
${subnet === undefined ? '' : ownSources(subnet)}${subnet6 === undefined ? '' : ownSources6(subnet6)}    icmpv6 type nd-router-advert drop
  }
${neighbours ? '' : neighbourRules}}
`;
}

const ownSources = (subnet: string): string => `    ip saddr ${subnet} iifname . ip saddr != @sources drop
    ether type arp iifname . arp saddr ether != @macs drop
    arp saddr ip ${subnet} iifname . arp saddr ip != @sources drop
`;

/**
 * The target of a neighbour advertisement is the address that its sender claims, 8 bytes into ICMPv6. Compared are the
 * whole bytes of the prefix.
 */
function ownSources6(subnet: string): string {
  const [base = '', length = ''] = subnet.split('/');
  const bytes = Buffer.from(parseIp(base).bytes.subarray(0, Number(length) >> 3));
  const claims = bytes.length === 0 ? '' : `@th,64,${bytes.length * 8} 0x${bytes.toString('hex')} `;
  return `    ip6 saddr ${subnet} iifname . ip6 saddr != @sources6 drop
    icmpv6 type nd-neighbor-advert ${claims}iifname . @th,64,128 != @targets6 drop
`;
}

const neighbourRules = `  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname @links oifname @links jump neighbours
  }
  chain neighbours {
    ether type arp accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip saddr . ip daddr . ip protocol . th dport @linked accept
    ip daddr . ip saddr . ip protocol . th sport @linked accept
    ip6 saddr . ip6 daddr . ip6 nexthdr . th dport @linked6 accept
    ip6 daddr . ip6 saddr . ip6 nexthdr . th sport @linked6 accept
    drop
  }
`;

export function guardElements({ link, mac, addresses }: GuardedPort): Element[] {
  const name = linkField(link);
  return [
    { family: 'bridge', set: 'macs', key: [name, macField(mac)] },
    ...addresses.flatMap((address): Element[] => {
      const own = addressField(address);
      if (!address.includes(':')) return [{ family: 'bridge', set: 'sources', key: [name, own] }];
      const target = { text: `0x${Buffer.from(own.bytes).toString('hex')}`, bytes: own.bytes };
      return [
        { family: 'bridge', set: 'sources6', key: [name, own] },
        { family: 'bridge', set: 'targets6', key: [name, target] },
      ];
    }),
    { family: 'bridge', set: 'links', key: [name] },
  ];
}

export function linkedElement({ from, to, protocol, port }: LinkedPort): Element {
  return {
    family: 'bridge',
    set: from.includes(':') ? 'linked6' : 'linked',
    key: [addressField(from), addressField(to), protocolField(protocol), portField(port)],
  };
}
