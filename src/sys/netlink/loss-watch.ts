import type { DescriptorWatcher } from '../process.ts';
import type { Syscall } from '../syscall.ts';
import { rtm } from './link-message.ts';
import { attributeText, readAttributes } from './message.ts';
import { NetlinkSocket, netlinkProtocol } from './netlink-socket.ts';

/** linux/netfilter/nfnetlink.h, nf_tables.h: the subsystem, NFT_MSG_DELTABLE, DELCHAIN, DELRULE, DELSET. */
const NFTABLES = 10;
const deletions: ReadonlySet<number> = new Set([2, 5, 8, 11].map((type) => (NFTABLES << 8) | type));
const NFNETLINK_HEADER_BYTES = 4;
/** The same number in the messages of all four. */
const NFTA_TABLE = 1;
/** Multicast groups: NFNLGRP_NFTABLES; RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR and RTNLGRP_IPV6_IFADDR. */
const group = { nftables: 7, links: 1, addresses4: 5, addresses6: 9 } as const;

/** What was taken away from this machine's networking, by whomever. */
export interface NetworkLosses {
  /** nftables' tables that something was deleted from, or that are gone. */
  tables: ReadonlySet<string>;
  /** Indexes of links that are gone, or lost an address. */
  links: ReadonlySet<number>;
  /** Links came, or changed: one that was missed may be among them. */
  newLinks: boolean;
  /** The kernel had more to tell than it could: it may be anything. */
  unknown: boolean;
}

/**
 * Tells of losses in the network namespace that the thread is in now, one's own changes included.
 * @returns what ends it
 */
export function watchNetworkLosses(
  syscall: Pick<Syscall, 'socket' | 'close'>,
  watcher: Pick<DescriptorWatcher, 'watchReadable'>,
  onLosses: (losses: NetworkLosses) => void,
): Disposable {
  using undo = new DisposableStack();
  const listen = (protocol: number, groups: readonly number[], read: Reader): void => {
    const socket = undo.use(new NetlinkSocket(syscall, protocol));
    socket.join(groups);
    const onReadable = (): void => {
      const found: Found = { tables: new Set(), links: new Set(), newLinks: false };
      const isComplete = socket.hear(({ type, payload }) => read(type, payload, found));
      if (!isComplete || found.newLinks || found.tables.size + found.links.size > 0)
        onLosses({ ...found, unknown: !isComplete });
    };
    const watch = watcher.watchReadable(socket.fd, onReadable, { keepsAlive: false });
    undo.defer(() => watch.remove());
  };
  listen(netlinkProtocol.netfilter, [group.nftables], readDeletion);
  listen(netlinkProtocol.route, [group.links, group.addresses4, group.addresses6], readLink);
  return undo.move();
}

interface Found {
  tables: Set<string>;
  links: Set<number>;
  newLinks: boolean;
}

type Reader = (type: number, payload: Buffer, found: Found) => void;

const readDeletion: Reader = (type, payload, { tables }) => {
  if (!deletions.has(type)) return;
  const table = attributeText(readAttributes(payload, NFNETLINK_HEADER_BYTES).get(NFTA_TABLE));
  if (table !== undefined) tables.add(table);
};

const readLink: Reader = (type, payload, found) => {
  if (type === rtm.newLink) found.newLinks = true;
  // At the same place in struct ifinfomsg and struct ifaddrmsg; the link may be gone by now, and its name with it.
  if (type === rtm.deleteLink || type === rtm.deleteAddress) found.links.add(payload.readUInt32LE(4));
};
