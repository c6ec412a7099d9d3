/** What the firewall must know of one bridge network. */
export interface BridgeRules {
  bridge: string;
  /** CIDR. */
  subnet: string;
  /** Addresses of containers are hidden behind the host's when they talk to the world. */
  masquerade: boolean;
}

/** Name of the one table that belongs to a bridge; nft's names know no `-`. */
export function tableName(bridge: string): string {
  return `coracle_${bridge.replaceAll(/[^A-Za-z0-9_]/g, '_')}`;
}

/**
 * nft(8) commands that bring the table to this state in one transaction, whatever it was before.
 *
 * Containers may open connections to anywhere; from outside (other networks of the machine included) nothing reaches
 * them but answers. An `accept` here ends this table's say only: another table that drops forwarded packets (dockerd sets
 * its FORWARD chain's policy to drop) still drops them.
 */
export function rulesetCommands({ bridge, subnet, masquerade }: BridgeRules): string {
  const table = `inet ${tableName(bridge)}`;
  return `table ${table}
delete table ${table}
table ${table} {
  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname "${bridge}" jump to_containers
    iifname "${bridge}" accept
  }
  chain to_containers {
    ct state established,related accept
    iifname "${bridge}" accept
    ct status dnat accept
    drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
${masquerade ? `    ip saddr ${subnet} oifname != "${bridge}" masquerade\n` : ''}  }
}
`;
}

/** Removes the table; no error when it is not there. */
export function removeCommands(bridge: string): string {
  const table = `inet ${tableName(bridge)}`;
  return `table ${table}\ndelete table ${table}\n`;
}
