/** rtnetlink(7) spoken directly: links, addresses, routes. All calls are synchronous and throw SyscallError. */
export interface Netlink {
  /** Runs the calls of `body` in the network namespace bound at `path`. */
  inNamespace(path: string): Netlink;
  linkIndex(name: string): number | undefined;
  links(): {
    index: number;
    name: string;
    kind?: string;
    up: boolean;
    mac: string;
    master?: number;
    mtu: number;
  }[];
  createBridge(name: string, options?: { mac?: string; mtu?: number }): void;
  /**
   * A veth pair whose second end is born in the namespace bound at `peerNamespace` under its final name; the first end
   * is put on the bridge and up, in one transaction.
   */
  createVeth(options: {
    name: string;
    bridge: string;
    peerName: string;
    peerNamespace: string;
    peerMac?: string;
    mtu?: number;
  }): void;
  deleteLink(name: string): void;
  setLink(
    name: string,
    change: { up?: boolean; mtu?: number; mac?: string; newName?: string; master?: string | null },
  ): void;
  /** `address` as `10.0.0.1/24` or `fd00::1/64`; `replace` makes it idempotent. IPv6 is added without DAD. */
  addAddress(link: string, address: string, options?: { broadcast?: boolean }): void;
  removeAddress(link: string, address: string): void;
  addresses(): { link: string; address: string; prefixLength: number; family: 4 | 6; scope: number }[];
  /** `destination` CIDR or `default`. */
  addRoute(route: { destination: string; gateway?: string; link?: string; scopeLink?: boolean }): void;
  routes(): { destination: string; gateway?: string; link?: string; family: 4 | 6; table: number }[];
  addNeighbour(link: string, address: string, mac: string): void;
}
