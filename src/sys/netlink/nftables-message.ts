import { MessageWriter } from './message.ts';
import { requestFlags } from './link-message.ts';

/** linux/netfilter/nfnetlink.h, nf_tables.h: subsystem nf_tables, NFT_MSG_GETTABLE. */
const GET_TABLE = (10 << 8) | 1;
const NFPROTO_INET = 1;
const NFTA_TABLE_NAME = 1;

/** Asks for one nftables table of the family `inet`. */
export function getTableMessage(name: string): MessageWriter {
  return new MessageWriter(GET_TABLE, requestFlags.change)
    .header([NFPROTO_INET, 0, 0, 0])
    .text(NFTA_TABLE_NAME, name);
}
