import { requestFlags } from './link-message.ts';
import { MessageWriter, readAttributes } from './message.ts';

/** linux/netfilter/nfnetlink_conntrack.h */
const SUBSYSTEM = 1 << 8;
const GET = SUBSYSTEM | 1;
const DELETE = SUBSYSTEM | 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const NLA_F_NESTED = 0x8000;
const AF_INET = 2;
/** struct nfgenmsg. */
const HEADER_BYTES = 4;
const IPPROTO_UDP = 17;

/** Asks for every IPv4 flow that the kernel tracks. */
export function dumpFlowsMessage(): MessageWriter {
  return new MessageWriter(GET, requestFlags.dump).header([AF_INET, 0, 0, 0]);
}

/** What names a UDP flow, and the port that its first packet was sent to; undefined for other flows. */
export function readUdpFlow(payload: Buffer): { tuple: Buffer; port: number } | undefined {
  const tuple = readAttributes(payload, HEADER_BYTES).get(CTA_TUPLE_ORIG);
  const protocol = tuple === undefined ? undefined : readAttributes(tuple).get(CTA_TUPLE_PROTO);
  if (tuple === undefined || protocol === undefined) return undefined;
  const fields = readAttributes(protocol);
  const port = fields.get(CTA_PROTO_DST_PORT);
  if (fields.get(CTA_PROTO_NUM)?.[0] !== IPPROTO_UDP || port === undefined) return undefined;
  return { tuple: Buffer.from(tuple), port: port.readUInt16BE(0) };
}

export function deleteFlowMessage(tuple: Buffer): MessageWriter {
  return new MessageWriter(DELETE, requestFlags.change)
    .header([AF_INET, 0, 0, 0])
    .attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, tuple);
}
