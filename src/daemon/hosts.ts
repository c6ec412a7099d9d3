import { EngineError } from '../errors/index.ts';

/** Where the API is served. */
export type Host =
  | { readonly kind: 'unix'; readonly path: string; readonly text: string }
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number; readonly text: string }
  /** Sockets handed over by systemd: all of them, or one by number or name. */
  | { readonly kind: 'fd'; readonly select: string; readonly text: string };

const plainPort = 2375;
const tlsPort = 2376;

/**
 * @param text `unix:///path`, `tcp://[address][:port]`, `fd://[n]`
 * @param tls chooses the default port, 2376 or 2375
 * @throws {EngineError} `invalid-parameter` "invalid bind address (x): …"
 */
export function parseHost(text: string, tls: boolean): Host {
  const found = /^(\w+):\/\/(.*)$/.exec(text.trim());
  const scheme = found?.[1];
  const rest = found?.[2] ?? '';
  switch (scheme) {
    case 'unix':
      if (!rest.startsWith('/')) throw invalid(text, 'a unix socket needs an absolute path');
      return { kind: 'unix', path: rest, text };
    case 'fd':
      return { kind: 'fd', select: rest, text };
    case 'tcp': {
      const parts = /^(?:\[([^\]]*)\]|([^:/]*))(?::(\d+))?\/?$/.exec(rest);
      if (parts === null) throw invalid(text, 'expected tcp://address:port');
      const port = parts[3] === undefined ? (tls ? tlsPort : plainPort) : Number(parts[3]);
      if (port > 65535) throw invalid(text, 'the port is out of range');
      const address = parts[1] ?? parts[2] ?? '';
      return { kind: 'tcp', address: address === '' ? '127.0.0.1' : address, port, text };
    }
    default:
      throw invalid(text, scheme === undefined ? 'it has no scheme' : `unsupported scheme ${scheme}`);
  }
}

function invalid(text: string, why: string): EngineError {
  return new EngineError('invalid-parameter', `invalid bind address (${text}): ${why}`, { code: 'bad-host' });
}
