/** Names of networks that nobody makes; `default` is a client's word for the first. */
export const predefinedNetworks: readonly string[] = ['bridge', 'host', 'none', 'default'];
