import type { PublishedPort } from '../ports/index.ts';
import { addressField, portField, protocolField, type Element } from './element.ts';

/** A port of a container, and the host's port that leads to it. */
export interface PortForward {
  port: PublishedPort;
  /** The container's; of the same family as the port's host address. */
  address: string;
  /** Packets may go to the container's own address; nothing is translated. */
  direct?: boolean;
}

/** Names of the maps and sets of one IP family: what translates, and what may be reached without translation. */
export function portMaps(
  family: 4 | 6,
): Record<'any' | 'anyRange' | 'bound' | 'boundRange' | 'open', string> {
  const suffix = family === 4 ? '' : '6';
  return {
    any: `ports${suffix}`,
    anyRange: `port_ranges${suffix}`,
    bound: `bound_ports${suffix}`,
    boundRange: `bound_port_ranges${suffix}`,
    open: `open_ports${suffix}`,
  };
}

interface Run {
  first: PortForward;
  last: number;
}

/**
 * The elements that stand for these ports: neighbouring ports are one, however many they are.
 * @param isGated the host's own firewall is asked first: its packets are looked for in sets of their own
 */
export function portElements(forwards: readonly PortForward[], isGated = false): Element[] {
  const runs = runsOf(forwards);
  return runs.flatMap(translated).concat(isGated ? runs.flatMap(gated) : []);
}

function gated({ first, last }: Run): Element[] {
  const { port, address, direct } = first;
  // A packet to a loopback address comes from the host itself.
  if (direct === true || /^127\.|^::1$/.test(port.hostAddress)) return [];
  const isBound = port.hostAddress !== (address.includes(':') ? '::' : '0.0.0.0');
  return [
    {
      family: address.includes(':') ? 'ip6' : 'ip',
      set: isBound ? 'bound_published' : 'published',
      key: [
        ...(isBound ? [addressField(port.hostAddress)] : []),
        protocolField(port.protocol),
        portField(port.hostPort),
      ],
      lastPort: last,
    },
  ];
}

function translated(run: Run): Element[] {
  const { port, address } = run.first;
  const family = address.includes(':') ? 6 : 4;
  const maps = portMaps(family);
  const protocol = protocolField(port.protocol);
  const count = run.last - port.hostPort;
  const open: Element = {
    family: 'inet',
    set: maps.open,
    key: [addressField(address), protocol, portField(port.containerPort)],
    lastPort: port.containerPort + count,
  };
  if (run.first.direct === true) return [open];
  const isBound = port.hostAddress !== (family === 4 ? '0.0.0.0' : '::');
  const host = isBound ? [addressField(port.hostAddress)] : [];
  if (count === 0) {
    return [
      {
        family: 'inet',
        set: isBound ? maps.bound : maps.any,
        key: [...host, protocol, portField(port.hostPort)],
        value: [addressField(address), portField(port.containerPort)],
      },
    ];
  }
  return shiftedRanges(port.hostPort, run.last, port.containerPort).map((part) => ({
    family: 'inet',
    set: isBound ? maps.boundRange : maps.anyRange,
    key: [...host, protocol, portField(part.first)],
    lastPort: part.last,
    value: [addressField(address), portField(part.low)],
    lastValuePort: part.high,
  }));
}

/**
 * How the kernel is told to move a range of ports: the new port is `low + port % (high - low + 1)`. One part is enough
 * when the ports grow or stay, or shrink while the last is below twice the first; else each part reaches to twice its
 * first.
 */
export function shiftedRanges(
  first: number,
  last: number,
  newFirst: number,
): { first: number; last: number; low: number; high: number }[] {
  const shift = newFirst - first;
  if (shift >= 0) return [{ first, last, low: shift, high: last + shift }];
  const parts: ReturnType<typeof shiftedRanges> = [];
  for (let from = first; from <= last;) {
    const to = Math.min(last, 2 * from - 1);
    const modulus = Math.max(-shift, Math.ceil((to + 1) / 2));
    parts.push({ first: from, last: to, low: modulus + shift, high: 2 * modulus + shift - 1 });
    from = to + 1;
  }
  return parts;
}

function runsOf(forwards: readonly PortForward[]): Run[] {
  const order = ({ port, address, direct = false }: PortForward): string =>
    `${direct} ${address} ${port.hostAddress} ${port.protocol} ` +
    `${String(port.hostPort + 65536 - port.containerPort).padStart(6, '0')} ${String(port.hostPort).padStart(5, '0')}`;
  const sorted = forwards
    .map((forward) => ({ forward, key: order(forward) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ forward }) => forward);
  const runs: Run[] = [];
  for (const forward of sorted) {
    const run = runs.at(-1);
    if (run !== undefined && continues(run, forward)) run.last++;
    else runs.push({ first: forward, last: forward.port.hostPort });
  }
  return runs;
}

function continues({ first, last }: Run, next: PortForward): boolean {
  return (
    next.port.hostPort === last + 1 &&
    next.port.hostPort - next.port.containerPort === first.port.hostPort - first.port.containerPort &&
    next.address === first.address &&
    next.direct === first.direct &&
    next.port.protocol === first.port.protocol &&
    next.port.hostAddress === first.port.hostAddress
  );
}
