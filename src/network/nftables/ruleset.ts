import type { FirewallFamily, OffsetTranslation } from '../../sys/index.ts';
import type { GatewayMode } from '../network-records.ts';
import { elementCommand, type Element } from './element.ts';
import { guardCommands, guardElements, type GuardedPort } from './guard.ts';
import type { Gate } from '../bridge/gate.ts';
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
  /**
   * Another firewall lets all packets of the bridge pass because we asked it to: those to other bridges of the machine but
   * these (which lead to the world) are ours to keep away, unless they come by a published port. Absent: they are not.
   */
  uplinks?: readonly string[];
  /** It is the engine's default network: the operator's table is there with it. */
  isDefault?: boolean;
  /** Packets for published ports come from outside by these links, when the host's firewall has let them in. */
  gate?: Gate;
  /** Packets with this mark pass, nft's `value` of `meta mark & mask`. */
  acceptMark?: { value: string; mask: string };
  /** False: containers reach each other at linked ports alone. */
  neighbours?: boolean;
  /** What leads into its containers. */
  forwards?: readonly PortForward[];
  /** The bridge's ports, and the addresses that may come from each. */
  ports?: readonly GuardedPort[];
  /** What containers with links may reach of neighbours that are kept apart. */
  linked?: readonly Element[];
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
 * output hook; of IPv6 they cannot leave the machine's own link, and go to the port's proxy.
 */
export function rulesetCommands(rules: BridgeRules): string {
  const { bridge, internal = false } = rules;
  const families = familiesOf(rules);
  const table = `inet ${tableName(bridge)}`;
  const { gate, acceptMark } = rules;
  const entrance = gate === undefined ? '' : `iifname "${gate.in}" `;
  const marked =
    acceptMark === undefined ? '' : `    meta mark & ${acceptMark.mask} == ${acceptMark.value} accept\n`;
  const elements = portElements(rules.forwards ?? [], rules.gate !== undefined);
  return `${rules.isDefault === true ? operatorCommands(bridge) : ''}table ${table}
delete table ${table}
table ${table} {
${families.map(mapDeclarations).join('')}  chain published {
${families.map(translations).join('')}  }
  chain raw {
    type filter hook prerouting priority raw; policy accept;
${marked}    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
${families.map((family) => directAccess(rules, family)).join('')}  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ${entrance}ip daddr != 127.0.0.0/8 fib daddr type local jump published
    ${entrance}meta nfproto ipv6 fib daddr type local jump published
  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip6 daddr ::1 accept
    fib daddr type local jump published
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
${marked}${internal ? internalRules(bridge) : foreignBridges(rules) + openRules(bridge, families)}  }
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
${families.map((family) => gateCommands(rules, family)).join('')}${elements.map((element) => elementCommand('add', tableName(bridge), element)).join('')}`;
}

/**
 * Under the policy `host-firewall` a packet from outside is not translated when it comes: it goes the way of packets to
 * the host itself, through all that the operator has in input chains, of nftables and iptables. What comes out is accepted;
 * a copy is sent by a link that leads back to the host, and what comes by that link is translated.
 */
function gateCommands({ bridge, gate }: BridgeRules, { ip }: Family): string {
  const table = `${ip} ${tableName(bridge)}`;
  const fresh = removeCommands(bridge, ip);
  if (gate === undefined) return fresh;
  // Neither is looked for: the link asks for no link addresses.
  const copy = `dup to ${ip === 'ip' ? '192.0.0.9' : 'fe80::1'} device "${gate.out}" drop`;
  return `${fresh}table ${table} {
  set published { type inet_proto . inet_service; flags interval; }
  set bound_published { type ${ip === 'ip' ? 'ipv4_addr' : 'ipv6_addr'} . inet_proto . inet_service; flags interval; }
  chain input {
    type filter hook input priority 1000; policy accept;
    iifname { "lo", "${gate.in}" } accept
    ct state new meta l4proto . th dport @published ${copy}
    ct state new ${ip} daddr . meta l4proto . th dport @bound_published ${copy}
  }
}
`;
}

/** Chains for rules of the operator's own, which see packets before ours do; what is in them stays. */
export function operatorCommands(bridge: string): string {
  const table = `inet ${operatorTable(bridge)}`;
  return `add table ${table}
add chain ${table} prerouting { type filter hook prerouting priority -110; policy accept; }
add chain ${table} forward { type filter hook forward priority -10; policy accept; }
`;
}

/** Name of the table of the family `inet` that is the operator's, of the engine with this default bridge. */
export function operatorTable(bridge: string): string {
  return `operator_${bridge.replaceAll(/[^A-Za-z0-9_]/g, '_')}`;
}

/** The bridge's own table, in the family `bridge`: which packets may pass between its ports. */
export function guardTableCommands(rules: BridgeRules): string {
  const table = tableName(rules.bridge);
  const elements = (rules.ports ?? []).flatMap((port) => guardElements(port)).concat(rules.linked ?? []);
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
export function removeCommands(bridge: string, family: FirewallFamily): string {
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

function foreignBridges({ bridge, uplinks }: BridgeRules): string {
  if (uplinks === undefined) return '';
  const links = [bridge, ...uplinks].map((name) => JSON.stringify(name)).join(', ');
  return `    iifname "${bridge}" oifname != { ${links} } meta oifkind "bridge" ct state new ct status & dnat == 0 drop\n`;
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
