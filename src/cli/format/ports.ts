/** A port of a container, as `GET /containers/json` lists it. */
export interface ListedPort {
  IP?: string;
  PrivatePort: number;
  PublicPort?: number;
  Type: string;
}

interface Run {
  first: number;
  last: number;
}

function range({ first, last }: Run): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** `0.0.0.0:8000-8002->80-82/tcp, 9000/udp`: neighbours joined into ranges. */
export function portText(ports: readonly ListedPort[]): string {
  const sorted = ports.toSorted(
    (a, b) =>
      a.PrivatePort - b.PrivatePort ||
      compare(a.IP ?? '', b.IP ?? '') ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
      compare(a.Type, b.Type),
  );
  const mapped: string[] = [];
  const groups = new Map<string, { type: string; run: Run }>();
  const order: string[] = [];
  const closed: string[] = [];
  for (const port of sorted) {
    let key = port.Type;
    if (port.IP) {
      if (port.PublicPort !== port.PrivatePort) {
        // Ports that are published under another number stand alone.
        mapped.push(`${host(port.IP)}:${port.PublicPort}->${port.PrivatePort}/${port.Type}`);
        continue;
      }
      key = `${port.IP}/${port.Type}`;
    }
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { type: port.Type, run: { first: port.PrivatePort, last: port.PrivatePort } });
      order.push(key);
    } else if (port.PrivatePort === group.run.last + 1) group.run.last = port.PrivatePort;
    else if (port.PrivatePort !== group.run.last) {
      closed.push(groupText(key, group.run));
      group.run = { first: port.PrivatePort, last: port.PrivatePort };
    }
  }
  return [
    ...closed,
    ...order.map((key) => groupText(key, (groups.get(key) as { run: Run }).run)),
    ...mapped,
  ].join(', ');
}

function groupText(key: string, run: Run): string {
  const slash = key.lastIndexOf('/');
  const type = key.slice(slash + 1);
  const shown = range(run);
  return slash < 0 ? `${shown}/${type}` : `${host(key.slice(0, slash))}:${shown}->${shown}/${type}`;
}

function host(ip: string): string {
  return ip.includes(':') ? `[${ip}]` : ip;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
