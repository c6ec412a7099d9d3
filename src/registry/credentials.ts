import { EngineError } from '../errors/index.ts';

/** What a client sends in `X-Registry-Auth` and to `/auth`. A user name and password, or one of the tokens. */
export interface RegistryCredentials {
  username?: string;
  password?: string;
  /** A refresh token that an earlier login gave in place of the password. */
  identityToken?: string;
  /** A bearer token, sent as it is. */
  registryToken?: string;
  serverAddress?: string;
}

const members: readonly (readonly [json: string, name: keyof RegistryCredentials])[] = [
  ['username', 'username'],
  ['password', 'password'],
  ['identitytoken', 'identityToken'],
  ['registrytoken', 'registryToken'],
  ['serveraddress', 'serverAddress'],
];

/** Reads Docker's AuthConfig; empty members are left out. @throws {EngineError} `invalid-parameter` */
export function parseCredentials(value: unknown): RegistryCredentials {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new EngineError('invalid-parameter', 'invalid registry credentials: not an object');
  }
  const credentials: RegistryCredentials = {};
  for (const [json, name] of members) {
    const text = (value as Record<string, unknown>)[json];
    if (text === undefined || text === null || text === '') continue;
    if (typeof text !== 'string') {
      throw new EngineError('invalid-parameter', `invalid registry credentials: ${json} is not a string`);
    }
    credentials[name] = text;
  }
  const auth = (value as Record<string, unknown>)['auth'];
  if (typeof auth === 'string' && auth !== '' && credentials.username === undefined) {
    const [username = '', ...password] = Buffer.from(auth, 'base64').toString('utf8').split(':');
    if (username !== '') Object.assign(credentials, { username, password: password.join(':') });
  }
  return credentials;
}

/**
 * Reads an `X-Registry-Auth` header: JSON in URL-safe base64. As Docker does, one that is absent, empty or broken means
 * no credentials.
 */
export function decodeCredentials(header: string | undefined): RegistryCredentials {
  if (header === undefined || header === '') return {};
  try {
    return parseCredentials(JSON.parse(Buffer.from(header, 'base64url').toString('utf8')));
  } catch {
    return {};
  }
}
