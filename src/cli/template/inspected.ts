import { keepOrder, nilCollection, Struct, type Value } from './value.ts';

/** Fields of Docker's API that are maps: any key may be asked for. All other objects have a fixed set of fields. */
const maps = new Set(
  'Labels Ports Networks Sysctls Volumes ExposedPorts PortBindings Config Options Opts Containers EndpointsConfig Tmpfs StorageOpt Annotations DriverOpts Data AuxiliaryAddresses Status ConfigFrom Metadata Services Runtimes'.split(
    ' ',
  ),
);
/** Objects named like a map that are none: `.Config` of a container or image, told by what they hold. */
const isStructAfterAll = (value: object): boolean =>
  'Cmd' in value || 'Entrypoint' in value || 'Env' in value;
/** Fields that the engine leaves out when they are empty, and what a template then sees. */
const optional = new Map<string, Value>(
  'Health Healthcheck SizeRw SizeRootFs Init MemorySwappiness OomKillDisable PidsLimit StopTimeout GraphDriver Annotations'
    .split(' ')
    .map((name) => [name, null] as const),
);
const emptyLists = new Set(
  'Binds Mounts CapAdd CapDrop GroupAdd Links VolumesFrom SecurityOpt Dns DnsOptions DnsSearch ExtraHosts Cmd Entrypoint Env OnBuild Shell Ulimits Devices DeviceRequests RepoTags RepoDigests ExecIDs Aliases DNSNames Args'.split(
    ' ',
  ),
);

/** A JSON object of the engine seen as the Go struct it was made from. */
class Inspected extends Struct {
  readonly typeName = 'map[string]interface {}';
  readonly #object: Record<string, unknown>;

  constructor(object: Record<string, unknown>) {
    super();
    this.#object = object;
  }

  field(name: string): { value: Value } | undefined {
    if (Object.hasOwn(this.#object, name)) return { value: wrap(this.#object[name], name) };
    if (optional.has(name)) return { value: optional.get(name) };
    return emptyLists.has(name) ? { value: [] } : undefined;
  }

  override missing(name: string): string {
    return `map has no entry for key ${JSON.stringify(name)}`;
  }

  values(): readonly Value[] {
    return Object.entries(this.#object).map(([name, value]) => wrap(value, name));
  }

  toJSON(): unknown {
    return inOrder(this.#object, '');
  }
}

/** For JSON: objects keep their order as structs do, maps are left to be sorted. */
function inOrder(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value.map((item) => inOrder(item, ''));
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inOrder(item, key)]));
  return maps.has(name) && !isStructAfterAll(value) ? copy : keepOrder(copy);
}

function wrap(value: unknown, name: string): Value {
  if (value === null) {
    if (emptyLists.has(name)) return nilCollection([]);
    return maps.has(name) ? nilCollection({}) : null;
  }
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item) => wrap(item, ''));
  if (maps.has(name) && !isStructAfterAll(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, wrap(item, '')]));
  }
  return new Inspected(value as Record<string, unknown>);
}

/** Parses the engine's answer for templates. */
export function inspected(json: string): Value {
  return wrap(JSON.parse(json), '');
}
