import { EngineError, isEngineError } from '../errors/index.ts';
import type { ContainerRecord, Filters } from './containers.ts';
import { invalid, noSuchContainer } from './errors.ts';
import { assertKnownFilters, matchesLabels, matchesPattern } from './filter-values.ts';
import { networkName } from './create.ts';
import type { ContainerTable } from './table.ts';
import { parseNs, zeroTime } from './timestamp.ts';

const known = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
];
const statuses = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
const healths = ['none', 'starting', 'healthy', 'unhealthy'];

type Test = (record: ContainerRecord) => boolean;

/** Docker's `ps`: newest first, running ones unless asked otherwise. @see moby daemon/list.go */
export function listContainers(
  table: ContainerTable,
  options: { all: boolean; limit?: number; filters?: Filters },
): ContainerRecord[] {
  const filters = options.filters ?? new Map<string, readonly string[]>();
  assertKnownFilters(filters, known);
  const limit = options.limit ?? 0;
  const all = options.all || limit > 0 || filters.has('status');
  const tests: Test[] = [];
  for (const [name, values] of filters) {
    if (values.length === 0) continue;
    const test = testFor(table, name, values);
    if (test !== null) tests.push(test);
  }
  const range = rangeOf(table, filters);
  const found: ContainerRecord[] = [];
  // The table is in the order of creation.
  for (const entry of [...table.entries.values()].toReversed()) {
    if (limit > 0 && found.length === limit) break;
    const { record } = entry;
    if (!all && !entry.running) continue;
    if (range(record) && tests.every((test) => test(record))) found.push(record);
  }
  return found;
}

function testFor(table: ContainerTable, name: string, values: readonly string[]): Test | null {
  switch (name) {
    case 'id':
      return (record) =>
        values.some((value) => record.id.startsWith(value)) || matchesPattern(record.id, values);
    case 'name':
      return (record) => matchesPattern(record.name, values) || matchesPattern(`/${record.name}`, values);
    case 'label':
      return (record) => matchesLabels(record.config.Labels, values);
    case 'status':
      assertAmong('status', values, statuses);
      return (record) => values.includes(record.state.status);
    case 'health':
      assertAmong('health', values, healths);
      return (record) => values.includes(record.state.health?.Status ?? 'none');
    case 'exited': {
      const codes = values.map(exitCodeFilter);
      return ({ state }) =>
        codes.includes(state.exitCode) && state.status === 'exited' && state.startedAt !== zeroTime;
    }
    case 'ancestor':
      return ancestorTest(table, values);
    case 'volume':
      return (record) =>
        record.mounts.some(
          (mount) => values.includes(mount.Destination) || values.includes(mount.Name ?? mount.Source),
        );
    case 'network':
      return (record) =>
        Object.entries(record.networks).some(([network, settings]) =>
          values.some(
            (value) =>
              networkName(value) === network ||
              (settings.NetworkID !== '' && settings.NetworkID.startsWith(value)),
          ),
        );
    case 'publish':
      return portTest(values, publishedPorts);
    case 'expose':
      return portTest(values, exposedPorts);
    case 'is-task':
      return () => !['1', 'true', 'True', 'TRUE', 't', 'T'].includes(values[0] ?? '');
    case 'isolation':
      return (record) => values.some((value) => value === 'default' || value === record.hostConfig.Isolation);
    default:
      return null;
  }
}

function assertAmong(name: string, values: readonly string[], allowed: readonly string[]): void {
  for (const value of values) {
    if (!allowed.includes(value)) throw invalid(`invalid filter '${name}=${value}'`);
  }
}

function exitCodeFilter(value: string): number {
  if (!/^-?\d+$/.test(value)) throw invalid(`invalid filter 'exited=${value}'`);
  return Number(value);
}

/** The image itself and whatever was built on it: its layers are a prefix. */
function ancestorTest(table: ContainerTable, values: readonly string[]): Test {
  const { images } = table.parts;
  const ids = new Set<string>();
  for (const value of values) {
    if (!images.has(value)) continue;
    const ancestor = images.get(value);
    ids.add(ancestor.id);
    const layers = ancestor.config.rootfs.diff_ids;
    if (layers.length === 0) continue;
    for (const image of images.list()) {
      const own = image.config.rootfs.diff_ids;
      if (own.length > layers.length && layers.every((layer, i) => own[i] === layer)) ids.add(image.id);
    }
  }
  return (record) => ids.has(record.imageId);
}

function rangeOf(table: ContainerTable, filters: Filters): Test {
  const before = referenced(table, filters.get('before'));
  const since = referenced(table, filters.get('since'));
  return (record) => {
    const created = parseNs(record.createdAt);
    return (before === null || created < before) && (since === null || created > since);
  };
}

function referenced(table: ContainerTable, values: readonly string[] | undefined): bigint | null {
  const value = values?.at(-1);
  if (value === undefined) return null;
  try {
    return parseNs(table.resolve(value).record.createdAt);
  } catch (error) {
    if (isEngineError(error)) throw noSuchContainer(value);
    throw error;
  }
}

function publishedPorts(record: ContainerRecord): string[] {
  return Object.entries(record.hostConfig.PortBindings ?? {}).flatMap(([port, bindings]) =>
    (bindings ?? []).map((binding) => `${binding.HostPort}/${port.split('/')[1] ?? 'tcp'}`),
  );
}

function exposedPorts(record: ContainerRecord): string[] {
  return [
    ...Object.keys(record.config.ExposedPorts ?? {}),
    ...Object.keys(record.hostConfig.PortBindings ?? {}),
  ].map((port) => (port.includes('/') ? port : `${port}/tcp`));
}

/** `80`, `80/udp`, `8000-8010/tcp` */
function portTest(values: readonly string[], portsOf: (record: ContainerRecord) => string[]): Test {
  const wanted = new Set<string>();
  for (const value of values) {
    const match = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/.exec(value);
    if (match === null) throw new EngineError('invalid-parameter', `invalid port: ${value}`);
    const first = Number(match[1]);
    const last = Number(match[2] ?? first);
    if (last < first || last > 65535) throw new EngineError('invalid-parameter', `invalid port: ${value}`);
    for (let port = first; port <= last; port++) wanted.add(`${port}/${match[3] ?? 'tcp'}`);
  }
  return (record) => portsOf(record).some((port) => wanted.has(port));
}
