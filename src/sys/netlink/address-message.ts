import { MessageWriter, attributeText, readAttributes } from './message.ts';
import { formatIp, maskBytes, parseCidr, parseIp } from './ip-address.ts';
import { parseMac, requestFlags, rtm } from './link-message.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SCOPE_UNIVERSE = 0;
const SCOPE_LINK = 253;
const TABLE_MAIN = 254;
const PROTOCOL_BOOT = 3;
const UNICAST = 1;
const IFA_F_NODAD = 2;
const AF_BRIDGE = 7;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;
const NTF_MASTER = 4;
/** linux/if_addr.h, linux/rtnetlink.h and linux/neighbour.h */
const ifa = { address: 1, local: 2, label: 3, broadcast: 4 } as const;
const rta = { destination: 1, outInterface: 4, gateway: 5, table: 15 } as const;
const nda = { destination: 1, lladdr: 2 } as const;

const afOf = (family: 4 | 6): number => (family === 4 ? AF_INET : AF_INET6);

export function addressMessage(
  index: number,
  address: string,
  options: { remove?: boolean; broadcast?: boolean; replace?: boolean } = {},
): MessageWriter {
  const { family, bytes, prefixLength } = parseCidr(address);
  const [type, flags] =
    options.remove === true
      ? [rtm.deleteAddress, requestFlags.change]
      : [rtm.newAddress, options.replace === true ? requestFlags.createOrReplace : requestFlags.create];
  const writer = new MessageWriter(type, flags);
  writer.header([afOf(family), prefixLength, family === 6 ? IFA_F_NODAD : 0, SCOPE_UNIVERSE], [index]);
  writer.attribute(ifa.local, bytes).attribute(ifa.address, bytes);
  if (family === 4 && prefixLength < 31 && options.remove !== true && options.broadcast !== false) {
    writer.attribute(ifa.broadcast, maskBytes(bytes, prefixLength, 1));
  }
  return writer;
}

export function dumpMessage(type: number): MessageWriter {
  return new MessageWriter(type, requestFlags.dump).header(
    Array<number>(type === rtm.getRoute ? 12 : 8).fill(0),
  );
}

/** One RTM_NEWADDR message; the link by index. */
export function readAddress(payload: Buffer): {
  index: number;
  label: string | undefined;
  address: string;
  prefixLength: number;
  family: 4 | 6;
  scope: number;
} {
  const attributes = readAttributes(payload, 8);
  // IFA_ADDRESS is the other side's on a point-to-point link.
  const bytes = attributes.get(ifa.local) ?? attributes.get(ifa.address) ?? Buffer.alloc(4);
  return {
    index: payload.readUInt32LE(4),
    label: attributeText(attributes.get(ifa.label)),
    address: formatIp(bytes),
    prefixLength: payload.readUInt8(1),
    family: payload.readUInt8(0) === AF_INET6 ? 6 : 4,
    scope: payload.readUInt8(3),
  };
}

export function routeMessage(
  route: { destination: string; gateway?: string; scopeLink?: boolean },
  index: number | undefined,
  remove = false,
): MessageWriter {
  const gateway = route.gateway === undefined ? undefined : parseIp(route.gateway);
  const destination = route.destination === 'default' ? undefined : parseCidr(route.destination);
  const family = destination?.family ?? gateway?.family ?? 4;
  const scope = route.scopeLink === true ? SCOPE_LINK : SCOPE_UNIVERSE;
  const writer = remove
    ? new MessageWriter(rtm.deleteRoute, requestFlags.change)
    : new MessageWriter(rtm.newRoute, requestFlags.create);
  writer.header(
    [afOf(family), destination?.prefixLength ?? 0, 0, 0, TABLE_MAIN, PROTOCOL_BOOT, scope, UNICAST],
    [0],
  );
  if (destination !== undefined && destination.prefixLength > 0) {
    writer.attribute(rta.destination, maskBytes(destination.bytes, destination.prefixLength));
  }
  if (gateway !== undefined) writer.attribute(rta.gateway, gateway.bytes);
  if (index !== undefined) writer.uint32(rta.outInterface, index);
  return writer;
}

/** One RTM_NEWROUTE message; undefined for what is no plain IP route. */
export function readRoute(
  payload: Buffer,
):
  | { destination: string; gateway?: string; index: number | undefined; family: 4 | 6; table: number }
  | undefined {
  const af = payload.readUInt8(0);
  if (af !== AF_INET && af !== AF_INET6) return undefined;
  const attributes = readAttributes(payload, 12);
  const destination = attributes.get(rta.destination);
  const gateway = attributes.get(rta.gateway);
  return {
    destination: destination === undefined ? 'default' : `${formatIp(destination)}/${payload.readUInt8(1)}`,
    ...(gateway === undefined ? {} : { gateway: formatIp(gateway) }),
    index: attributes.get(rta.outInterface)?.readUInt32LE(0),
    family: af === AF_INET6 ? 6 : 4,
    table: attributes.get(rta.table)?.readUInt32LE(0) ?? payload.readUInt8(4),
  };
}

export function neighbourMessage(index: number, address: string, mac: string): MessageWriter {
  const { family, bytes } = parseIp(address);
  return new MessageWriter(rtm.newNeighbour, requestFlags.createOrReplace)
    .header([afOf(family), 0, 0, 0], [index, NUD_PERMANENT])
    .attribute(nda.destination, bytes)
    .attribute(nda.lladdr, parseMac(mac));
}

/** Tells the bridge of the port with this index that the MAC is to be found there. */
export function forwardingMessage(portIndex: number, mac: string): MessageWriter {
  return new MessageWriter(rtm.newNeighbour, requestFlags.createOrReplace)
    .header([AF_BRIDGE, 0, 0, 0], [portIndex, NUD_NOARP | (NTF_MASTER << 16)])
    .attribute(nda.lladdr, parseMac(mac));
}
