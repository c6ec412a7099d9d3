import { getServers } from 'node:dns';
import { errorMessage } from '../errors/index.ts';

const systemTexts: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

const unknownAuthority = 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
const tlsTexts: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  CERT_HAS_EXPIRED: 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'remote error: tls: certificate required',
};

/** The text that Go's HTTP client, and so Docker, has for a failed connection. */
export function connectionText(error: unknown, url: URL): string {
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const {
    code = '',
    syscall,
    address,
    port,
  } = (first ?? {}) as {
    code?: string;
    syscall?: string;
    address?: string;
    port?: number;
  };
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (syscall === 'getaddrinfo') {
    const why = code === 'ENOTFOUND' ? 'no such host' : 'Temporary failure in name resolution';
    const [server] = getServers();
    return `dial tcp: lookup ${host}${server === undefined ? '' : ` on ${withPort(server)}`}: ${why}`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `tls: failed to verify certificate: x509: certificate is not valid for ${host}`;
  }
  const tls = tlsTexts[code];
  if (tls !== undefined) return tls;
  if (/wrong version number|packet length too long/.test(errorMessage(first))) {
    return 'http: server gave HTTP response to HTTPS client';
  }
  const defaultPort = url.protocol === 'https:' ? '443' : '80';
  const target = `${bracket(address ?? host)}:${port ?? (url.port === '' ? defaultPort : url.port)}`;
  if (code === 'ETIMEDOUT') return `dial tcp ${target}: i/o timeout`;
  const text = systemTexts[code];
  if (text !== undefined && syscall === 'connect') return `dial tcp ${target}: connect: ${text}`;
  if (code === 'ECONNRESET')
    return /socket hang up/.test(errorMessage(first)) ? 'EOF' : `read tcp ${target}: ${text}`;
  return text ?? errorMessage(first);
}

function bracket(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

function withPort(server: string): string {
  return /^\[|^[^:]+:\d+$/.test(server) ? server : `${bracket(server)}:53`;
}
