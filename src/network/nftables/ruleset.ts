import type { OffsetTranslation } from '../../sys/index.ts';
import type { GatewayMode } from '../network-records.ts';
import { elementCommand } from './element.ts';
import { guardCommands, guardElements, type GuardedPort } from './guard.ts';
import { portElements, portMaps, type PortForward } from './port-elements.ts';

/** What the firewall must know of one bridge network. */
export interface BridgeRules {
  bridge: string;
  /** CIDR of IPv4; absent: the network has none. */
  subnet?: string;
  /** The same of IPv6. */
  subnet6?: string;
  /** Addresses of containers are hidden behind the host's when they talk to the world, in the NAT modes. */
  masquerade: boolean;
  /** Nothing leaves the bridge and nothing enters it. */
  internal?: boolean;
  /** Absent: `nat`. */
  mode4?: GatewayMode;
  mode6?: GatewayMode;
  /** The addresses that containers appear with outside; absent: that of the link they leave by. */
  sourceAddress4?: string;
  sourceAddress6?: string;
  /** Links of the host from which published ports may be reached at containers' own addresses. */
  trustedLinks?: readonly string[];
  /** False: containers reach each other at linked ports alone. */
  neighbours?: boolean;
  /** What leads into its containers. */
  forwards?: readonly PortForward[];
  /** The bridge's ports, and the addresses that may come from each. */
  ports?: readonly GuardedPort[];
}

interface Family {
  number: 4 | 6;
  /** nft's word. */
  ip: 'ip' | 'ip6';
  loopback: string;
  subnet: string | undefined;
  mode: GatewayMode;
  source: string | undefined;
}

/** Name of the tables (`inet`, and `bridge`) that belong to a bridge; nft's names know no `-`. */
export function tableName(bridge: string): string {
  return `coracle_${bridge.replaceAll(/[^A-Za-z0-9_]/g, '_')}`;
}

/**
 * nft(8) commands that bring the table to this state in one transaction, whatever it was before.
 *
 * Containers may open connections to anywhere; from outside (other networks of the machine included) nothing reaches
 * them but answers and what came in by a published port; packets from elsewhere to a container's own address end in the
 * raw chain already. An `accept` here ends this table's say only: another table that drops forwarded packets still drops
 * them.
 *
 * A source address that is none of the network's does not leave it.
 *
 * Ports are elements of maps: on any of the host's addresses or on one, single ports or ranges. A lookup costs the same
 * for one port and for thousands. Packets to a loopback address are only ever those of the host itself: they come by the
 * output hook.
 */
export function rulesetCommands(rules: BridgeRules): string {
  const { bridge, internal = false } = rules;
  const families = familiesOf(rules);
  const table = `inet ${tableName(bridge)}`;
  const elements = portElements(rules.forwards ?? []);
  return `table ${table}
delete table ${table}
table ${table} {
${families.map(mapDeclarations).join('')}  chain published {
${families.map(translations).join('')}  }
  chain raw {
    type filter hook prerouting priority raw; policy accept;
    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
${families.map((family) => directAccess(rules, family)).join('')}  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr != 127.0.0.0/8 fib daddr type local jump published
    meta nfproto ipv6 fib daddr type local jump published
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local jump published
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
${internal ? internalRules(bridge) : openRules(bridge, families)}  }
  chain to_containers {
    ct state established,related accept
    iifname "${bridge}" accept
    ct status dnat accept
${families.map(directlyReached).join('')}    drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
${families.map((family) => sourceTranslations(rules, family)).join('')}  }
}
${elements.map((element) => elementCommand('add', tableName(bridge), element)).join('')}`;
}

/** The bridge's own table, in the family `bridge`: which packets may pass between its ports. */
export function guardTableCommands(rules: BridgeRules): string {
  const table = tableName(rules.bridge);
  const elements = (rules.ports ?? []).flatMap((port) => guardElements(port));
  return guardCommands(rules, table) + elements.map((one) => elementCommand('add', table, one)).join('');
}

/** The rules that nft(8) has no words for: translation by map elements that are ranges. */
export function offsetTranslations(bridge: string): OffsetTranslation[] {
  const table = tableName(bridge);
  return ([4, 6] as const).flatMap((ipFamily) => {
    const { boundRange, anyRange } = portMaps(ipFamily);
    return [
      { table, chain: rangeChain(ipFamily), map: boundRange, ipFamily, byAddress: true },
      { table, chain: rangeChain(ipFamily), map: anyRange, ipFamily, byAddress: false },
    ];
  });
}

/** Removes the tables; no error when they are not there. */
export function removeCommands(bridge: string, family: 'inet' | 'bridge'): string {
  const table = `${family} ${tableName(bridge)}`;
  return `table ${table}\ndelete table ${table}\n`;
}

function familiesOf(rules: BridgeRules): Family[] {
  const { subnet, subnet6, mode4 = 'nat', mode6 = 'nat', sourceAddress4, sourceAddress6 } = rules;
  return [
    { number: 4, ip: 'ip', loopback: '127.0.0.0/8', subnet, mode: mode4, source: sourceAddress4 },
    { number: 6, ip: 'ip6', loopback: '::1', subnet: subnet6, mode: mode6, source: sourceAddress6 },
  ];
}

const rangeChain = (family: 4 | 6): string => (family === 4 ? 'published_ranges' : 'published_ranges6');

function mapDeclarations({ number, ip }: Family): string {
  const maps = portMaps(number);
  const address = ip === 'ip' ? 'ipv4_addr' : 'ipv6_addr';
  return `  map ${maps.bound} { type ${address} . inet_proto . inet_service : ${address} . inet_service; }
  map ${maps.boundRange} { type ${address} . inet_proto . inet_service : interval ${address} . inet_service; flags interval; }
  map ${maps.any} { type inet_proto . inet_service : ${address} . inet_service; }
  map ${maps.anyRange} { type inet_proto . inet_service : interval ${address} . inet_service; flags interval; }
  set ${maps.open} { type ${address} . inet_proto . inet_service; flags interval; }
  chain ${rangeChain(number)} {
  }
`;
}

function translations({ number, ip }: Family): string {
  const maps = portMaps(number);
  return `    dnat ${ip} to ${ip} daddr . meta l4proto . th dport map @${maps.bound}
    dnat ${ip} to meta l4proto . th dport map @${maps.any}
    meta nfproto ipv${number} jump ${rangeChain(number)}
`;
}

/** Behind NAT nobody has business with a container's own address. Without masquerading, answers do come to it. */
function directAccess(rules: BridgeRules, { ip, subnet, mode }: Family): string {
  if (subnet === undefined || mode !== 'nat' || !rules.masquerade) return '';
  const links = [rules.bridge, 'lo', ...(rules.trustedLinks ?? [])].map((name) => JSON.stringify(name));
  return `    iifname != { ${links.join(', ')} } ${ip} daddr ${subnet} fib daddr type != local drop\n`;
}

function directlyReached({ number, ip, subnet, mode }: Family): string {
  if (subnet === undefined) return '';
  const open = `    ${ip} daddr . meta l4proto . th dport @${portMaps(number).open} accept\n`;
  const echo = number === 4 ? 'icmp type echo-request' : 'icmpv6 type echo-request';
  if (mode === 'nat-unprotected') return `    ${ip} daddr ${subnet} accept\n`;
  return mode === 'routed' ? `${open}    ${echo} accept\n` : open;
}

function openRules(bridge: string, families: readonly Family[]): string {
  const foreign = families.map(({ number, ip, subnet }) =>
    subnet === undefined ? `meta nfproto ipv${number} drop` : `${ip} saddr != ${subnet} drop`,
  );
  return `    oifname "${bridge}" jump to_containers
${foreign.map((rule) => `    iifname "${bridge}" ${rule}\n`).join('')}    iifname "${bridge}" accept
`;
}

const internalRules = (bridge: string): string => `    iifname "${bridge}" oifname "${bridge}" accept
    iifname "${bridge}" drop
    oifname "${bridge}" drop
`;

/**
 * To the world with the host's address; from the host's loopback addresses with the bridge's, since no packet may carry
 * those away; between neighbours by a port of the host with the bridge's, since answers would not come back by the host.
 */
function sourceTranslations(rules: BridgeRules, { ip, loopback, subnet, mode, source }: Family): string {
  if (subnet === undefined) return '';
  const { bridge, masquerade } = rules;
  const isHidden = masquerade && (mode === 'nat' || mode === 'nat-unprotected');
  const hide = source === undefined ? 'masquerade' : `snat ${ip} to ${source}`;
  return `${isHidden ? `    ${ip} saddr ${subnet} oifname != "${bridge}" ${hide}\n` : ''}    ${ip} saddr ${loopback} oifname "${bridge}" masquerade
    ${ip} saddr ${subnet} oifname "${bridge}" ct status dnat masquerade
`;
}
