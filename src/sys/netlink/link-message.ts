import { EngineError } from '../../errors/index.ts';
import type { LinkKind, Netlink } from '../netlink.ts';
import { attributeText, readAttributes, MessageWriter } from './message.ts';

/** Message types and flags, linux/rtnetlink.h and linux/netlink.h. */
export const rtm = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  setLink: 19,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
  newNeighbour: 28,
} as const;

const REQUEST = 0x1;
const ACK = 0x4;
export const requestFlags = {
  change: REQUEST | ACK,
  create: REQUEST | ACK | 0x400 | 0x200,
  createOrReplace: REQUEST | ACK | 0x400 | 0x100,
  dump: REQUEST | 0x300,
} as const;

/** linux/if_link.h */
const ifla = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  protocolInfo: 12,
  linkInfo: 18,
  alias: 20,
  namespaceFd: 28,
  extendedMask: 29,
  infoKind: 1,
  infoData: 2,
  vethPeer: 1,
  bridgePortHairpin: 4,
  bridgePortIsolated: 33,
  macvlanMode: 1,
  vlanId: 1,
  ipvlanMode: 1,
  ipvlanFlags: 2,
} as const;
const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const;
const ipvlanFlags = { bridge: 0, private: 1, vepa: 2 } as const;
const AF_BRIDGE = 7;
const NLA_F_NESTED = 0x8000;
const IFF_UP = 1;
const IFF_NOARP = 0x80;
/** RTEXT_FILTER_SKIP_STATS: counters are most of an answer. */
const SKIP_STATS = 1 << 3;
/** IFNAMSIZ less the NUL. */
const NAME_BYTES = 15;

export type Link = ReturnType<Netlink['links']>[number];

/** @throws {EngineError} `invalid-parameter` for a name that the kernel would refuse or cut. */
export function checkLinkName(name: string): string {
  if (name === '' || Buffer.byteLength(name) > NAME_BYTES || /[/\s:\0]/.test(name) || /^\.\.?$/.test(name)) {
    throw new EngineError('invalid-parameter', `invalid interface name: ${JSON.stringify(name)}`);
  }
  return name;
}

/** `02:42:ac:11:00:02` to its six bytes. @throws {EngineError} `invalid-parameter` */
export function parseMac(text: string): Buffer {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) {
    throw new EngineError('invalid-parameter', `invalid MAC address: ${text}`);
  }
  return Buffer.from(text.split(/[:-]/).join(''), 'hex');
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export function getLinkMessage(name?: string): MessageWriter {
  const writer = new MessageWriter(
    rtm.getLink,
    name === undefined ? requestFlags.dump : requestFlags.change,
  ).linkHeader({});
  if (name !== undefined) writer.text(ifla.name, checkLinkName(name));
  return writer.uint32(ifla.extendedMask, SKIP_STATS);
}

export function createBridgeMessage(name: string, options: { mac?: string; mtu?: number }): MessageWriter {
  const writer = new MessageWriter(rtm.newLink, requestFlags.create).linkHeader({});
  writer.text(ifla.name, checkLinkName(name));
  if (options.mac !== undefined) writer.attribute(ifla.address, parseMac(options.mac));
  if (options.mtu !== undefined) writer.uint32(ifla.mtu, options.mtu);
  return writer.nested(ifla.linkInfo, (info) => info.text(ifla.infoKind, 'bridge'));
}

export function createVethMessage(options: {
  name: string;
  masterIndex: number;
  peerName: string;
  peerNamespaceFd: number;
  peerMac?: string;
  mtu?: number;
}): MessageWriter {
  const writer = new MessageWriter(rtm.newLink, requestFlags.create);
  writer.linkHeader({ flags: IFF_UP, change: IFF_UP });
  writer.text(ifla.name, checkLinkName(options.name)).uint32(ifla.master, options.masterIndex);
  if (options.mtu !== undefined) writer.uint32(ifla.mtu, options.mtu);
  return writer.nested(ifla.linkInfo, (info) => {
    info.text(ifla.infoKind, 'veth').nested(ifla.infoData, (data) => {
      data.nested(ifla.vethPeer, (peer) => {
        // Not up: the kernel opens this end before it has joined the two, and says ENOTCONN.
        peer.linkHeader({}).text(ifla.name, checkLinkName(options.peerName));
        peer.uint32(ifla.namespaceFd, options.peerNamespaceFd);
        if (options.peerMac !== undefined) peer.attribute(ifla.address, parseMac(options.peerMac));
        if (options.mtu !== undefined) peer.uint32(ifla.mtu, options.mtu);
      });
    });
  });
}

/** @param on index of the link that it stands on */
export function createLinkMessage(
  name: string,
  kind: LinkKind,
  options: { on: number | undefined; namespaceFd: number | undefined; mac?: string; mtu?: number },
): MessageWriter {
  const writer = new MessageWriter(rtm.newLink, requestFlags.create).linkHeader({});
  writer.text(ifla.name, checkLinkName(name));
  if (options.on !== undefined) writer.uint32(ifla.link, options.on);
  if (options.namespaceFd !== undefined) writer.uint32(ifla.namespaceFd, options.namespaceFd);
  if (options.mac !== undefined) writer.attribute(ifla.address, parseMac(options.mac));
  if (options.mtu !== undefined) writer.uint32(ifla.mtu, options.mtu);
  return writer.nested(ifla.linkInfo, (info) => {
    info.text(ifla.infoKind, kind.kind);
    if (kind.kind === 'dummy') return;
    info.nested(ifla.infoData, (data) => {
      if (kind.kind === 'vlan') data.uint16(ifla.vlanId, kind.id);
      else if (kind.kind === 'macvlan') data.uint32(ifla.macvlanMode, macvlanModes[kind.mode]);
      else {
        data.uint16(ifla.ipvlanMode, ipvlanModes[kind.mode]);
        data.uint16(ifla.ipvlanFlags, ipvlanFlags[kind.flag]);
      }
    });
  });
}

export function deleteLinkMessage(name: string): MessageWriter {
  return new MessageWriter(rtm.deleteLink, requestFlags.change)
    .linkHeader({})
    .text(ifla.name, checkLinkName(name));
}

export function setLinkMessage(
  index: number,
  change: {
    up?: boolean;
    arp?: boolean;
    mtu?: number;
    mac?: string;
    newName?: string;
    masterIndex?: number;
    alias?: string;
  },
): MessageWriter {
  const flags = {
    flags: (change.up === true ? IFF_UP : 0) | (change.arp === false ? IFF_NOARP : 0),
    change: (change.up === undefined ? 0 : IFF_UP) | (change.arp === undefined ? 0 : IFF_NOARP),
  };
  const writer = new MessageWriter(rtm.newLink, requestFlags.change).linkHeader({ index, ...flags });
  if (change.mtu !== undefined) writer.uint32(ifla.mtu, change.mtu);
  if (change.mac !== undefined) writer.attribute(ifla.address, parseMac(change.mac));
  if (change.newName !== undefined) writer.text(ifla.name, checkLinkName(change.newName));
  if (change.alias !== undefined) writer.text(ifla.alias, change.alias);
  if (change.masterIndex !== undefined) writer.uint32(ifla.master, change.masterIndex);
  return writer;
}

/** Flags of a bridge's port, as bridge(8) sets them. */
export function setBridgePortMessage(
  index: number,
  change: { hairpin?: boolean; isolated?: boolean },
): MessageWriter {
  const writer = new MessageWriter(rtm.setLink, requestFlags.change).linkHeader({ family: AF_BRIDGE, index });
  return writer.nested(ifla.protocolInfo | NLA_F_NESTED, (port) => {
    if (change.hairpin !== undefined) port.uint8(ifla.bridgePortHairpin, change.hairpin ? 1 : 0);
    if (change.isolated !== undefined) port.uint8(ifla.bridgePortIsolated, change.isolated ? 1 : 0);
  });
}

/** One RTM_NEWLINK message. */
export function readLink(payload: Buffer): Link {
  const attributes = readAttributes(payload, 16);
  const info = attributes.get(ifla.linkInfo);
  const kind = info === undefined ? undefined : attributeText(readAttributes(info).get(ifla.infoKind));
  const master = attributes.get(ifla.master)?.readUInt32LE(0);
  const alias = attributeText(attributes.get(ifla.alias));
  return {
    index: payload.readInt32LE(4),
    name: attributeText(attributes.get(ifla.name)) ?? '',
    ...(kind === undefined ? {} : { kind }),
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    mac: formatMac(attributes.get(ifla.address) ?? Buffer.alloc(0)),
    ...(master === undefined || master === 0 ? {} : { master }),
    mtu: attributes.get(ifla.mtu)?.readUInt32LE(0) ?? 0,
    ...(alias === undefined ? {} : { alias }),
  };
}
