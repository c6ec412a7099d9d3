import type { PublishedPort } from '../ports/index.ts';

/** What the firewall must know of one bridge network. */
export interface BridgeRules {
  bridge: string;
  /** CIDR of IPv4; absent: the network has none. */
  subnet?: string;
  /** The same of IPv6. */
  subnet6?: string;
  /** Addresses of containers are hidden behind the host's when they talk to the world. */
  masquerade: boolean;
  /** Nothing leaves the bridge and nothing enters it. */
  internal?: boolean;
  /** What leads into its containers. */
  forwards?: readonly PortForward[];
}

/** A host's port and the container that answers there. */
export interface PortForward {
  port: PublishedPort;
  /** The container's. */
  address: string;
}

/** Name of the one table that belongs to a bridge; nft's names know no `-`. */
export function tableName(bridge: string): string {
  return `coracle_${bridge.replaceAll(/[^A-Za-z0-9_]/g, '_')}`;
}

/**
 * nft(8) commands that bring the table to this state in one transaction, whatever it was before.
 *
 * Containers may open connections to anywhere; from outside (other networks of the machine included) nothing reaches
 * them but answers and what came in by a published port. An `accept` here ends this table's say only: another table that
 * drops forwarded packets (dockerd sets its FORWARD chain's policy to drop) still drops them.
 *
 * A source address that is none of the network's does not leave it.
 *
 * Ports are elements of four maps: on any of the host's addresses or on one, single ports or ranges that keep their
 * numbers. A lookup costs the same for one port and for thousands. Packets to a loopback address are only ever those of
 * the host itself: they come by the output hook.
 */
export function rulesetCommands(rules: BridgeRules): string {
  const { bridge, masquerade, internal = false } = rules;
  const sources = sourcesOf(rules);
  const table = `inet ${tableName(bridge)}`;
  return `table ${table}
delete table ${table}
table ${table} {
  map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map port_ranges { type inet_proto . inet_service : ipv4_addr; flags interval; }
  map bound_ports { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
  map bound_port_ranges { type ipv4_addr . inet_proto . inet_service : ipv4_addr; flags interval; }
  chain published {
    dnat ip to ip daddr . meta l4proto . th dport map @bound_ports
    dnat ip to ip daddr . meta l4proto . th dport map @bound_port_ranges
    dnat ip to meta l4proto . th dport map @ports
    dnat ip to meta l4proto . th dport map @port_ranges
  }
  chain raw {
    type filter hook prerouting priority raw; policy accept;
    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr != 127.0.0.0/8 fib daddr type local jump published
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local jump published
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
${internal ? internalRules(bridge) : openRules(rules)}  }
  chain to_containers {
    ct state established,related accept
    iifname "${bridge}" accept
    ct status dnat accept
    drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
${masquerade ? sources.map((source) => `    ${source} oifname != "${bridge}" masquerade\n`).join('') : ''}    ip saddr 127.0.0.0/8 oifname "${bridge}" masquerade
${sources.map((source) => `    ${source} oifname "${bridge}" ct status dnat masquerade\n`).join('')}  }
}
${forwardCommands(bridge, rules.forwards ?? [], 'add')}`;
}

/** What tells packets of the network's containers by where they come from, for each family that it has. */
function sourcesOf({ subnet, subnet6 }: BridgeRules): string[] {
  return [
    ...(subnet === undefined ? [] : [`ip saddr ${subnet}`]),
    ...(subnet6 === undefined ? [] : [`ip6 saddr ${subnet6}`]),
  ];
}

const openRules = ({
  bridge,
  subnet,
  subnet6,
}: BridgeRules): string => `    oifname "${bridge}" jump to_containers
    iifname "${bridge}" ${subnet === undefined ? 'meta nfproto ipv4' : `ip saddr != ${subnet}`} drop
    iifname "${bridge}" ${subnet6 === undefined ? 'meta nfproto ipv6' : `ip6 saddr != ${subnet6}`} drop
    iifname "${bridge}" accept
`;

const internalRules = (bridge: string): string => `    iifname "${bridge}" oifname "${bridge}" accept
    iifname "${bridge}" drop
    oifname "${bridge}" drop
`;

/** Adds these ports to the bridge's table, or takes them out; '' for none. */
export function forwardCommands(
  bridge: string,
  forwards: readonly PortForward[],
  action: 'add' | 'delete',
): string {
  return runsOf(forwards)
    .map((run) => {
      const { protocol, hostAddress, hostPort, containerPort } = run.first.port;
      const isBound = hostAddress !== '0.0.0.0';
      const isRange = run.last > hostPort;
      const map = `${isBound ? 'bound_' : ''}port${isRange ? '_range' : ''}s`;
      const ports = isRange ? `${hostPort}-${run.last}` : String(hostPort);
      const key = `${isBound ? `${hostAddress} . ` : ''}${protocol} . ${ports}`;
      const { address } = run.first;
      const value = action === 'delete' ? '' : ` : ${address}${isRange ? '' : ` . ${containerPort}`}`;
      return `${action} element inet ${tableName(bridge)} ${map} { ${key}${value} }\n`;
    })
    .join('');
}

/** Neighbouring ports that keep their numbers are one element, however many they are. */
function runsOf(forwards: readonly PortForward[]): { first: PortForward; last: number }[] {
  const order = ({ port, address }: PortForward): string =>
    `${address} ${port.hostAddress} ${port.protocol} ${String(port.hostPort).padStart(5, '0')}`;
  const sorted = forwards
    .map((forward) => ({ forward, key: order(forward) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ forward }) => forward);
  const runs: { first: PortForward; last: number }[] = [];
  for (const forward of sorted) {
    const run = runs.at(-1);
    if (run !== undefined && continues(run, forward)) run.last++;
    else runs.push({ first: forward, last: forward.port.hostPort });
  }
  return runs;
}

function continues({ first, last }: { first: PortForward; last: number }, next: PortForward): boolean {
  const keepsNumber = ({ port }: PortForward): boolean => port.hostPort === port.containerPort;
  return (
    next.port.hostPort === last + 1 &&
    keepsNumber(next) &&
    keepsNumber(first) &&
    next.address === first.address &&
    next.port.protocol === first.port.protocol &&
    next.port.hostAddress === first.port.hostAddress
  );
}

/** Removes the table; no error when it is not there. */
export function removeCommands(bridge: string): string {
  const table = `inet ${tableName(bridge)}`;
  return `table ${table}\ndelete table ${table}\n`;
}
