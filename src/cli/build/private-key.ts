import { createPrivateKey, type JsonWebKeyInput, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';

const OPENSSH_MAGIC = 'openssh-key-v1\0';

/** SSH's names of curves, and those of JSON web keys. */
const curves: Readonly<Record<string, string>> = {
  nistp256: 'P-256',
  nistp384: 'P-384',
  nistp521: 'P-521',
};

/**
 * Reads a private key as ssh-keygen or openssl writes it: RSA, ECDSA or Ed25519, without a passphrase.
 * @throws {Error} naming the file, never its content
 */
export function readPrivateKey(path: string): KeyObject {
  const text = readFileSync(path, 'utf8');
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)-----END/.exec(text)?.[1];
  if (text.includes('ENCRYPTED')) throw encrypted(path);
  try {
    return body === undefined ? createPrivateKey(text) : openSshKey(Buffer.from(body, 'base64'), path);
  } catch (error) {
    if (error instanceof EncryptedKey) throw error;
    // What OpenSSL says of a broken key tells nothing more.
    throw new Error(`failed to parse ${path}: it is neither the socket of an SSH agent nor a private key`);
  }
}

class EncryptedKey extends Error {}

function encrypted(path: string): EncryptedKey {
  return new EncryptedKey(
    `${path} is protected by a passphrase: put it into an agent (ssh-add ${path}) and give that with --ssh`,
  );
}

/** @see PROTOCOL.key of OpenSSH */
function openSshKey(bytes: Buffer, path: string): KeyObject {
  if (bytes.toString('latin1', 0, OPENSSH_MAGIC.length) !== OPENSSH_MAGIC) throw new Error('no OpenSSH key');
  const outer = new Fields(bytes.subarray(OPENSSH_MAGIC.length));
  if (outer.string().toString() !== 'none') throw encrypted(path);
  outer.string();
  outer.string();
  if (outer.number() !== 1) throw new Error('several keys');
  outer.string();
  const own = new Fields(outer.string());
  if (own.number() !== own.number()) throw new Error('the check numbers differ');
  return createPrivateKey({ key: webKey(own), format: 'jwk' });
}

function webKey(fields: Fields): JsonWebKeyInput['key'] {
  const type = fields.string().toString();
  const part = (bytes: Buffer): string => bytes.toString('base64url');
  if (type === 'ssh-ed25519') {
    const x = fields.string();
    return { kty: 'OKP', crv: 'Ed25519', x: part(x), d: part(fields.string().subarray(0, 32)) };
  }
  if (type === 'ssh-rsa') {
    const [n, e, d, qi, p, q] = Array.from({ length: 6 }, () => magnitude(fields.string())) as Six<Buffer>;
    const rest = (divisor: Buffer): string => {
      const hex = (BigInt(`0x${d.toString('hex')}`) % (BigInt(`0x${divisor.toString('hex')}`) - 1n)).toString(
        16,
      );
      return part(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'));
    };
    const [dp, dq] = [rest(p), rest(q)];
    return { kty: 'RSA', n: part(n), e: part(e), d: part(d), p: part(p), q: part(q), dp, dq, qi: part(qi) };
  }
  const crv = curves[fields.string().toString()];
  const point = fields.string();
  const size = (point.length - 1) / 2;
  if (crv === undefined || point[0] !== 4) throw new Error(`no key of type ${type}`);
  const d = magnitude(fields.string());
  const padded = Buffer.concat([Buffer.alloc(size - d.length), d]);
  const [x, y] = [part(point.subarray(1, 1 + size)), part(point.subarray(1 + size))];
  return { kty: 'EC', crv, x, y, d: part(padded) };
}

type Six<T> = [T, T, T, T, T, T];

/** A key's public half as SSH writes it. @throws {Error} for other kinds of keys */
export function publicBlob(key: KeyObject): { type: string; blob: Buffer } {
  const { kty, crv = '', x = '', y = '', n = '', e = '' } = key.export({ format: 'jwk' });
  const part = (text: string): Buffer => Buffer.from(text, 'base64url');
  const named = (type: string, ...parts: Buffer[]): { type: string; blob: Buffer } => {
    return { type, blob: Buffer.concat([sshString(Buffer.from(type)), ...parts]) };
  };
  if (crv === 'Ed25519') return named('ssh-ed25519', sshString(part(x)));
  if (kty === 'RSA') return named('ssh-rsa', sshNumber(part(e)), sshNumber(part(n)));
  const curve = Object.keys(curves).find((name) => curves[name] === crv);
  if (curve === undefined) throw new Error(`SSH has no keys of type ${crv || kty}`);
  const point = Buffer.concat([Buffer.of(4), part(x), part(y)]);
  return named(`ecdsa-sha2-${curve}`, sshString(Buffer.from(curve)), sshString(point));
}

/** @see RFC 4251 section 5 */
export function sshString(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A whole number, not negative, as SSH's `mpint`. */
export function sshNumber(bytes: Buffer): Buffer {
  const digits = magnitude(bytes);
  return sshString((digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

function magnitude(bytes: Buffer): Buffer {
  const from = bytes.findIndex((byte) => byte !== 0);
  return from === -1 ? Buffer.alloc(0) : bytes.subarray(from);
}

/** Reads one field after the other. */
class Fields {
  #rest: Buffer;

  constructor(bytes: Buffer) {
    this.#rest = bytes;
  }

  number(): number {
    const value = this.#rest.readUInt32BE(0);
    this.#rest = this.#rest.subarray(4);
    return value;
  }

  string(): Buffer {
    const length = this.number();
    if (length > this.#rest.length) throw new Error('it ends in a field');
    const value = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return value;
  }
}
