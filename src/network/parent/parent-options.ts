import { EngineError } from '../../errors/index.ts';
import type { ParentRecord } from '../network-records.ts';
import type { ChildKind } from './parent-network.ts';

const macvlanModes = ['bridge', 'private', 'vepa', 'passthru'] as const;
const ipvlanModes = ['l2', 'l3', 'l3s'] as const;
const ipvlanFlags = ['bridge', 'private', 'vepa'] as const;

/**
 * What the options of a macvlan or ipvlan network mean. Nothing is made.
 * @param id of the network: its parent is named after it where none is named
 * @throws {EngineError} `internal`, as dockerd's driver, with its texts
 * @see moby daemon/libnetwork/drivers/macvlan/macvlan_network.go parseNetworkOptions
 */
export function parentOptions(
  driver: 'macvlan' | 'ipvlan',
  id: string,
  options: Readonly<Record<string, string>>,
  internal: boolean,
): ParentRecord {
  const asked = options['parent'] ?? '';
  if (asked === 'lo')
    throw new EngineError('internal', `loopback interface is not a valid ${driver} parent link`);
  const name = asked === '' ? `${driver === 'macvlan' ? 'dm' : 'di'}-${id.slice(0, 12)}` : asked;
  const mtu = Number(options['com.docker.network.driver.mtu'] ?? 0);
  const common = {
    name,
    made: asked === '' ? ('dummy' as const) : ('no' as const),
    // A link that leads nowhere has no world to reach.
    internal: internal || asked === '',
    ...(Number.isInteger(mtu) && mtu > 0 ? { mtu } : {}),
  };
  if (driver === 'macvlan') return { ...common, mode: macvlanMode(options['macvlan_mode'] ?? '') };
  return {
    ...common,
    mode: ipvlanMode(options['ipvlan_mode'] ?? ''),
    flag: ipvlanFlag(options['ipvlan_flag'] ?? ''),
  };
}

/** @see parentOptions */
export function childKind(driver: 'macvlan' | 'ipvlan', { name, mode, flag = '' }: ParentRecord): ChildKind {
  return driver === 'macvlan'
    ? { kind: 'macvlan', parent: name, mode: macvlanMode(mode) }
    : { kind: 'ipvlan', parent: name, mode: ipvlanMode(mode), flag: ipvlanFlag(flag) };
}

function macvlanMode(text: string): (typeof macvlanModes)[number] {
  return oneOf(
    macvlanModes,
    text,
    (mode) => `requested macvlan mode '${mode}' is not valid, 'bridge' mode is the macvlan driver default`,
  );
}

function ipvlanMode(text: string): (typeof ipvlanModes)[number] {
  return oneOf(
    ipvlanModes,
    text,
    (mode) => `requested ipvlan mode '${mode}' is not valid, 'l2' mode is the ipvlan driver default`,
  );
}

function ipvlanFlag(text: string): (typeof ipvlanFlags)[number] {
  return oneOf(
    ipvlanFlags,
    text,
    (flag) => `requested ipvlan flag '${flag}' is not valid, 'bridge' is the ipvlan driver default`,
  );
}

/** The first for ''. */
function oneOf<T extends string>(
  known: readonly [T, ...T[]],
  text: string,
  refuse: (text: string) => string,
): T {
  if (text === '') return known[0];
  const found = known.find((one) => one === text);
  if (found === undefined) throw new EngineError('internal', refuse(text));
  return found;
}

/**
 * `eth0.10` is VLAN 10 of eth0.
 * @throws {EngineError} `internal` with dockerd's texts
 */
export function parseVlan(name: string, exists: (link: string) => boolean): { parent: string; id: number } {
  const refuse = (text: string): EngineError => new EngineError('internal', text);
  if (!name.includes('.'))
    throw refuse(`invalid subinterface vlan name ${name}, example formatting is eth0.10`);
  const [parent = '', digits = '', ...more] = name.split('.');
  if (more.length > 0) {
    throw refuse(
      `required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received ${name}`,
    );
  }
  if (!/^[+-]?\d+$/.test(digits))
    throw refuse(`unable to parse a valid vlan id from: ${digits} (ex. eth0.10 for vlan 10)`);
  if (!exists(parent)) throw refuse(`-o parent interface was not found on the host: ${parent}`);
  const id = Number(digits);
  if (id > 4094 || id < 1) throw refuse(`vlan id must be between 1-4094, received: ${id}`);
  return { parent, id };
}
