import { isIP } from 'node:net';
import { parseAddress, parseSubnet, subnetContains } from './ipam/index.ts';
import type { NetworkTable } from './network-table.ts';

/**
 * True of a container in an internal network, by whatever address of its it asks: what it can reach of the host must not
 * lead on to other networks.
 * @param client an address, of a neighbour on a link with `%link` behind
 */
export function isConfined(table: NetworkTable, client: string): boolean {
  const [text = '', link] = client.split('%');
  if (isIP(text) === 0) return true;
  const address = parseAddress(text);
  return table
    .networks()
    .some(
      ({ bridge, pools = [] }) =>
        bridge?.internal === true &&
        (bridge.name === link || pools.some(({ subnet }) => subnetContains(parseSubnet(subnet), address))),
    );
}
