import { isIP } from 'node:net';
import { invalid } from './values.ts';

/** A mirror's URL, with its final slash. @throws {EngineError} with dockerd's texts */
export function parseMirror(given: string): string {
  const shown = JSON.stringify(given);
  const wanted = "must use either 'https://' or 'http://'";
  if (!/^[^:]+:\/\//.test(given))
    throw invalid(`invalid mirror: no scheme specified for ${shown}: ${wanted}`);
  const url = URL.parse(given);
  if (url === null) throw invalid(`invalid mirror: ${shown} is not a valid URI`);
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'http' && scheme !== 'https') {
    throw invalid(`invalid mirror: unsupported scheme ${JSON.stringify(scheme)} in ${shown}: ${wanted}`);
  }
  if (url.search !== '' || url.hash !== '')
    throw invalid(`invalid mirror: query or fragment at end of the URI ${shown}`);
  if (url.username !== '' || url.password !== '') {
    const hidden = given.replace(/:[^:@/]*@/, ':xxxxx@');
    throw invalid(`invalid mirror: username/password not allowed in URI ${JSON.stringify(hidden)}`);
  }
  return given.endsWith('/') ? given : `${given}/`;
}

/** `host`, `host:port` or a CIDR range; a URL's scheme is left out. @throws {EngineError} with dockerd's texts */
export function parseInsecureRegistry(given: string): string {
  const [, scheme, host = given] = /^(.*?):\/\/(.*)$/.exec(given) ?? [];
  if (scheme !== undefined && !/^https?$/i.test(scheme))
    throw invalid(`insecure registry ${given} should not contain '://'`);
  if (host.startsWith('-') || host.endsWith('-'))
    throw invalid(`invalid index name (${host}). Cannot begin or end with a hyphen`);
  const [network = '', bits] = host.split('/');
  const isRange = isIP(network) !== 0 && /^\d{1,3}$/.test(bits ?? '');
  const url = URL.parse(`http://${isIP(host) === 6 ? `[${host}]` : host}`);
  if (!isRange && (url === null || url.pathname !== '/' || host.includes('/')))
    throw invalid(`insecure registry ${given} is not valid: invalid host ${JSON.stringify(host)}`);
  return host;
}
