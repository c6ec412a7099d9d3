import { readFileSync, writeFileSync } from 'node:fs';
import { EngineError, isKind } from '../errors/index.ts';
import type { ContainerLinkPorts } from '../network/index.ts';
import type { HostConfig } from '../spec/index.ts';
import type { ContainerRecord } from './containers.ts';
import type { ContainerEntry } from './entry.ts';
import { invalid } from './errors.ts';
import type { ContainerTable } from './table.ts';

/** One `--link` on the default bridge: this container knows another by a name of its own choice. */
export interface ContainerLink {
  /** Id. */
  target: string;
  alias: string;
}

/**
 * The links that a new container asks for; none but on the default bridge (networks of the user's resolve names
 * themselves).
 * @throws {EngineError} `invalid-parameter` for a link without a target or of a container without a network
 */
export function plannedLinks(table: ContainerTable, hostConfig: HostConfig): ContainerLink[] {
  const asked = hostConfig.Links ?? [];
  if (asked.length === 0) return [];
  const mode = hostConfig.NetworkMode;
  if (mode === 'host') {
    throw invalid(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    );
  }
  if (mode.startsWith('container:')) {
    throw invalid(
      "conflicting options: container type network can't be used with links. This would result in undefined behavior",
    );
  }
  if (mode !== 'default' && mode !== 'bridge') return [];
  return asked.map((text) => {
    const { name, alias } = parseLink(text);
    return { target: targetOf(table, name).id, alias };
  });
}

function parseLink(text: string): { name: string; alias: string } {
  const parts = text.split(':');
  const [name = '', alias] = parts;
  if (name === '' || parts.length > 2) throw invalid(`bad format for links: ${text}`);
  const bare = name.replace(/^\//, '');
  // `/db:/web/alias` is what inspect shows, and tools hand back.
  const last = alias?.split('/').at(-1) ?? '';
  return { name: bare, alias: last === '' ? bare : last };
}

function targetOf(table: ContainerTable, name: string): ContainerEntry {
  let target: ContainerEntry;
  try {
    target = table.resolve(name);
  } catch (error) {
    if (!isKind(error, 'not-found')) throw error;
    throw invalid(`could not get container for ${name}: ${(error as Error).message}`);
  }
  const { NetworkMode: mode } = target.record.hostConfig;
  // It has the other's network, and no address of its own.
  if (mode.startsWith('container:')) return targetOf(table, mode.slice('container:'.length));
  if (mode === 'host') {
    throw invalid(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    );
  }
  return target;
}

/** As inspect shows them: `/db:/web/alias`. */
export function linkTexts(table: ContainerTable, record: ContainerRecord): string[] {
  return (record.links ?? []).flatMap(({ target, alias }) => {
    const other = table.entries.get(target);
    return other === undefined ? [] : [`/${other.record.name}:/${record.name}/${alias}`];
  });
}

/** After a rename: what inspect shows of links from and to the container. */
export function renameLinks(table: ContainerTable, renamed: ContainerEntry): void {
  for (const entry of table.entries.values()) {
    const { record } = entry;
    const links = record.links ?? [];
    if (links.length === 0) continue;
    if (entry !== renamed && !links.some(({ target }) => target === renamed.id)) continue;
    record.hostConfig.Links = linkTexts(table, record);
    table.save(entry);
  }
}

/** @throws {EngineError} `internal`, as dockerd's, when a target does not run or is not where links lead */
export function assertLinksRun(table: ContainerTable, record: ContainerRecord): void {
  for (const { target, alias } of record.links ?? []) {
    const other = table.entries.get(target);
    if (other === undefined) continue;
    if (!other.running) {
      throw new EngineError(
        'internal',
        `Cannot link to a non running container: /${other.record.name} AS /${record.name}/${alias}`,
      );
    }
    if (other.record.networks['bridge'] === undefined) {
      throw new EngineError(
        'internal',
        `Cannot link to /${other.record.name}, as it does not belong to the default network`,
      );
    }
  }
}

/** Lines of /etc/hosts, by links. */
export function linkHosts(
  table: ContainerTable,
  record: ContainerRecord,
): { address: string; names: string }[] {
  return (record.links ?? []).flatMap((link) => {
    const other = table.entries.get(link.target)?.record;
    const { IPAddress = '', GlobalIPv6Address = '' } = other?.networks['bridge'] ?? {};
    if (other === undefined) return [];
    return [IPAddress, GlobalIPv6Address].flatMap((address) =>
      address === '' ? [] : [{ address, names: namesOf(link, other) }],
    );
  });
}

function namesOf({ alias }: ContainerLink, target: ContainerRecord): string {
  return [...new Set([alias, target.config.Hostname, target.name])].filter((name) => name !== '').join(' ');
}

/** The classic variables: `DB_PORT`, `DB_PORT_5432_TCP` and parts, `DB_NAME`, and the target's own as `DB_ENV_…`. */
export function linkEnvironment(table: ContainerTable, record: ContainerRecord): string[] {
  const environment: string[] = [];
  for (const { target, alias } of record.links ?? []) {
    const other = table.entries.get(target)?.record;
    const address = other?.networks['bridge']?.IPAddress ?? '';
    if (other === undefined || address === '') continue;
    const prefix = alias.toUpperCase().replaceAll('-', '_');
    const ports = exposedPorts(other);
    const [main] = ports;
    if (main !== undefined) environment.push(`${prefix}_PORT=${main.protocol}://${address}:${main.number}`);
    for (const { first, last, protocol } of rangesOf(ports)) {
      const name = `${prefix}_PORT_${first}_${protocol.toUpperCase()}`;
      environment.push(
        `${name}_START=${protocol}://${address}:${first}`,
        `${name}_PORT_START=${first}`,
        `${name}_END=${protocol}://${address}:${last}`,
        `${name}_PORT_END=${last}`,
      );
    }
    for (const { number, protocol } of ports) {
      const name = `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
      environment.push(
        `${name}=${protocol}://${address}:${number}`,
        `${name}_ADDR=${address}`,
        `${name}_PORT=${number}`,
        `${name}_PROTO=${protocol}`,
      );
    }
    environment.push(`${prefix}_NAME=/${record.name}/${alias}`);
    for (const variable of other.config.Env ?? []) {
      const [name = ''] = variable.split('=', 1);
      if (!variable.includes('=') || name === 'HOME' || name === 'PATH') continue;
      environment.push(`${prefix}_ENV_${variable}`);
    }
  }
  return environment;
}

/** What the links of a container open where neighbours are kept apart: the ports that their targets expose. */
export function linkPorts(table: ContainerTable, record: ContainerRecord): ContainerLinkPorts[] {
  return (record.links ?? []).map(({ target }) => {
    const other = table.entries.get(target)?.record;
    const ports = (other === undefined ? [] : exposedPorts(other)).flatMap(({ number, protocol }) =>
      isPortProtocol(protocol) ? { protocol, port: number } : [],
    );
    return { containerId: target, ports };
  });
}

const isPortProtocol = (name: string): name is ContainerLinkPorts['ports'][number]['protocol'] =>
  ['tcp', 'udp', 'sctp'].includes(name);

function exposedPorts(record: ContainerRecord): { number: number; protocol: string }[] {
  const keys = new Set(
    [
      ...Object.keys(record.config.ExposedPorts ?? {}),
      ...Object.keys(record.hostConfig.PortBindings ?? {}),
    ].map((port) => (port.includes('/') ? port : `${port}/tcp`)),
  );
  return [...keys]
    .map((port) => {
      const [number = '', protocol = 'tcp'] = port.split('/');
      return { number: Number(number), protocol };
    })
    .sort((a, b) => a.number - b.number || (a.protocol < b.protocol ? -1 : 1));
}

/** Two neighbouring ports and more. */
function rangesOf(ports: readonly { number: number; protocol: string }[]) {
  const ranges: { first: number; last: number; protocol: string }[] = [];
  for (const { number, protocol } of ports) {
    const range = ranges.at(-1);
    if (range?.protocol === protocol && range.last + 1 === number) range.last = number;
    else ranges.push({ first: number, last: number, protocol });
  }
  return ranges.filter(({ first, last }) => last > first);
}

/** The container has an address: those that are linked to it and run learn of it. Files that are gone are no matter. */
export function tellLinked(table: ContainerTable, target: ContainerEntry): void {
  for (const entry of table.entries.values()) {
    const { record } = entry;
    const link = record.links?.find((one) => one.target === target.id);
    if (link === undefined || !entry.running) continue;
    try {
      rewriteLinkLines(table, record);
    } catch (error) {
      table.report(`update the links of ${entry.id}`, error);
    }
  }
}

/** In place: the container has the file mounted. */
function rewriteLinkLines(table: ContainerTable, record: ContainerRecord, gone: string[] = []): void {
  const wanted = linkHosts(table, record);
  const ours = new Set([...wanted.map(({ names }) => names), ...gone]);
  const current = readFileSync(record.hostsPath, 'utf8').split('\n');
  const others = current.filter((line) => line !== '' && !ours.has(line.split('\t')[1] ?? ''));
  const lines = [...others, ...wanted.map(({ address, names }) => `${address}\t${names}`)];
  writeFileSync(record.hostsPath, `${lines.join('\n')}\n`);
}

/** `rm --link /web/alias`. @throws {EngineError} `invalid-parameter`, `not-found` with dockerd's texts */
export function removeLink(table: ContainerTable, name: string): void {
  const [parentName = '', alias = ''] = name.replace(/^\//, '').split('/');
  if (alias === '') throw invalid('Conflict, cannot remove the default link name of the container');
  let parent: ContainerEntry;
  try {
    parent = table.resolve(parentName);
  } catch {
    throw new EngineError('not-found', `No such container: ${parentName}/${alias}`);
  }
  const { record } = parent;
  const link = (record.links ?? []).find((one) => one.alias === alias);
  if (link === undefined) throw new EngineError('not-found', `No such container: ${parentName}/${alias}`);
  const target = table.entries.get(link.target)?.record;
  record.links = (record.links ?? []).filter((one) => one !== link);
  record.hostConfig.Links = linkTexts(table, record);
  table.save(parent);
  table.parts.networks.changeLinks(parent.id, 'bridge', linkPorts(table, record));
  if (parent.running && target !== undefined) rewriteLinkLines(table, record, [namesOf(link, target)]);
}
