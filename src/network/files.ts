import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { EngineError } from '../errors/index.ts';

/**
 * The three files that tell a container who it is and whom to ask: /etc/resolv.conf, /etc/hosts, /etc/hostname, as
 * dockerd writes them. Everything here is pure but `readHostResolvConf`.
 */
export interface ResolvConfRequest {
  /** The host's own file. */
  host: string;
  /** The container shares the host's network: its loopback name servers can be reached. */
  sharesHostNetwork: boolean;
  /** The container has IPv6 addresses. */
  ipv6?: boolean;
  /** The engine answers names in the container's networks: it is the one server, and asks the others itself. */
  answersNames?: boolean;
  dns?: readonly string[] | null;
  /** `['.']`: no search list. */
  dnsSearch?: readonly string[] | null;
  dnsOptions?: readonly string[] | null;
}

/** Where names are answered inside networks of the user's, as by dockerd. */
export const dnsAddress = '127.0.0.11';

/** What is asked when the host's servers are all its own loopback, as dockerd does. */
const fallbackServers = ['8.8.8.8', '8.8.4.4'];
const fallbackServers6 = ['2001:4860:4860::8888', '2001:4860:4860::8844'];

const stub = '/run/systemd/resolve/resolv.conf';

/** The host's resolv.conf; that of systemd-resolved's real servers when the host itself asks the stub at 127.0.0.53. */
export function readHostResolvConf(path = '/etc/resolv.conf', behindStub = stub): string {
  if (!existsSync(path)) return '';
  const text = readFileSync(path, 'utf8');
  const servers = nameservers(text);
  if (servers.length === 1 && servers[0] === '127.0.0.53' && existsSync(behindStub)) {
    return readFileSync(behindStub, 'utf8');
  }
  return text;
}

/** Addresses of the `nameserver` lines. */
export function nameservers(resolvConf: string): string[] {
  return directives(resolvConf, 'nameserver').flatMap((words) => words.slice(0, 1));
}

/** The container's own options for its resolver, or the host's. */
export function resolverOptions(host: string, own: readonly string[] | null | undefined): readonly string[] {
  return given(own) ?? directives(host, 'options').flat();
}

export function buildResolvConf(request: ResolvConfRequest): string {
  const { host, sharesHostNetwork, dns, dnsSearch, dnsOptions } = request;
  if (request.answersNames === true) return ownResolvConf(request);
  const asked = [dns, dnsSearch, dnsOptions].some(
    (list) => list !== undefined && list !== null && list.length > 0,
  );
  if (!asked) return sharesHostNetwork ? host : withReachableServers(host, request.ipv6 === true);

  const search = given(dnsSearch) ?? directives(host, 'search').at(-1) ?? [];
  const options = resolverOptions(host, dnsOptions);
  const servers =
    given(dns) ?? nameservers(sharesHostNetwork ? host : withReachableServers(host, request.ipv6 === true));
  const lines: string[] = [];
  if (search.length > 0 && search.join('') !== '.') lines.push(`search ${search.join(' ')}`);
  for (const server of servers) lines.push(`nameserver ${server}`);
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  return lines.map((line) => `${line}\n`).join('');
}

function ownResolvConf({ host, dnsSearch, dnsOptions }: ResolvConfRequest): string {
  const search = given(dnsSearch) ?? directives(host, 'search').at(-1) ?? [];
  const options = [...resolverOptions(host, dnsOptions)];
  if (!options.some((option) => option.startsWith('ndots:'))) options.push('ndots:0');
  const lines = [`nameserver ${dnsAddress}`];
  if (search.length > 0 && search.join('') !== '.') lines.push(`search ${search.join(' ')}`);
  lines.push(`options ${options.join(' ')}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** The host's file without the name servers that a container cannot reach, or with public ones when none is left. */
function withReachableServers(host: string, ipv6: boolean): string {
  const kept = host
    .split('\n')
    .filter((line) => {
      const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
      return server === undefined || isReachable(server, ipv6);
    })
    .join('\n');
  if (nameservers(kept).length > 0) return kept;
  const added = ipv6 ? [...fallbackServers, ...fallbackServers6] : fallbackServers;
  const before = kept === '' || kept.endsWith('\n') ? kept : `${kept}\n`;
  return `${before}${added.map((server) => `nameserver ${server}\n`).join('')}`;
}

function isReachable(server: string, ipv6: boolean): boolean {
  // A zone (fe80::1%eth0) names an interface that the container does not have.
  if (isIP(server) === 4) return !server.startsWith('127.');
  return ipv6 && server !== '::1' && !server.includes('%');
}

/** The words behind a directive, line by line; comments at a line's end are no words. */
function directives(text: string, name: string): string[][] {
  return text.split('\n').flatMap((line) => {
    const [first, ...words] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    return first === name ? [words] : [];
  });
}

const given = (list: readonly string[] | null | undefined): readonly string[] | undefined =>
  list === undefined || list === null || list.length === 0 ? undefined : list;

export interface HostsRequest {
  /** The host's own file, which a container of the host's network gets when it has no extra hosts. */
  host?: string;
  hostname: string;
  domainname: string;
  /** Addresses that the hostname stands for, without prefix; empty: no line. */
  ownAddresses: readonly string[];
  /** `name:address` or `name=address`; `host-gateway` for the address below. */
  extraHosts?: readonly string[] | null;
  /** Other containers that this one knows by names of its own. */
  links?: readonly { address: string; names: string }[];
  /** Undefined: `host-gateway` cannot be answered. */
  hostGateway?: readonly string[] | undefined;
}

const localHosts = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** @throws {EngineError} `invalid-parameter` for an extra host that is no name and address. */
export function buildHosts(request: HostsRequest): string {
  const extra = (request.extraHosts ?? []).flatMap((text) => parseExtraHost(text, request.hostGateway));
  if (request.host !== undefined && extra.length === 0) return request.host;
  const lines = extra.map(({ name, address }) => `${address}\t${name}\n`);
  if (request.hostname !== '') {
    const names =
      request.domainname === ''
        ? request.hostname
        : `${request.hostname}.${request.domainname} ${request.hostname}`;
    for (const address of request.ownAddresses) lines.push(`${address}\t${names}\n`);
  }
  for (const { address, names } of request.links ?? []) lines.push(`${address}\t${names}\n`);
  return localHosts + lines.join('');
}

/** More than one where the host's gateway has addresses of both families. */
function parseExtraHost(
  text: string,
  hostGateway: readonly string[] | undefined,
): { name: string; address: string }[] {
  const separator = text.includes('=') ? '=' : ':';
  const at = text.indexOf(separator);
  const name = text.slice(0, at);
  let address = text.slice(at + 1);
  if (at <= 0 || address === '' || /\s/.test(name)) {
    throw new EngineError('invalid-parameter', `bad format for add-host: "${text}"`);
  }
  if (address === 'host-gateway') {
    if (hostGateway === undefined) {
      throw new EngineError('invalid-parameter', 'unable to derive the IP value for host-gateway');
    }
    return hostGateway.map((one) => ({ name, address: one }));
  }
  if (address.startsWith('[') && address.endsWith(']')) address = address.slice(1, -1);
  if (isIP(address) === 0) {
    throw new EngineError('invalid-parameter', `invalid IP address in add-host: "${address}"`);
  }
  return [{ name, address }];
}

export function buildHostname(hostname: string): string {
  return `${hostname}\n`;
}
