import { constants, sign, type KeyObject } from 'node:crypto';
import { duplexPair, type Duplex } from 'node:stream';
import { publicBlob, readPrivateKey, sshNumber, sshString } from './private-key.ts';

/** Numbers of messages. @see draft-miller-ssh-agent section 6.1 */
const message = { failure: 5, listKeys: 11, keys: 12, sign: 13, signature: 14 } as const;

/** What a client asks of RSA: another digest than SHA-1. @see draft-miller-ssh-agent section 6.2 */
const rsaFlags = { sha256: 2, sha512: 4 } as const;

/** Longer messages are no request for a signature of a log-in. */
const MAX_MESSAGE_BYTES = 256 * 1024;

const curveDigests: Readonly<Record<string, string>> = {
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
};

interface AgentKey {
  key: KeyObject;
  type: string;
  blob: Buffer;
  name: string;
}

/**
 * An SSH agent that has the keys of some files, for the time of a build: who speaks to it gets signatures and never a key.
 * Keys are neither added nor removed through it.
 */
export class KeyAgent {
  readonly #keys: AgentKey[];

  private constructor(keys: AgentKey[]) {
    this.#keys = keys;
  }

  /** @param files of private keys without a passphrase @throws {Error} naming the file */
  static open(files: readonly string[]): KeyAgent {
    return new KeyAgent(
      files.map((name) => {
        const key = readPrivateKey(name);
        return { key, name, ...publicBlob(key) };
      }),
    );
  }

  /** A new connection to it; the caller closes it. */
  connect(): Duplex {
    const [ours, theirs] = duplexPair();
    let received: Buffer = Buffer.alloc(0);
    ours.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 4) {
        const length = received.readUInt32BE(0);
        if (length > MAX_MESSAGE_BYTES) {
          ours.destroy();
          return;
        }
        if (received.length < 4 + length) return;
        const request = received.subarray(4, 4 + length);
        received = received.subarray(4 + length);
        ours.write(sshString(this.#answer(request)));
      }
    });
    ours.on('end', () => ours.end());
    ours.on('error', () => ours.destroy());
    return theirs;
  }

  #answer(request: Buffer): Buffer {
    try {
      if (request[0] === message.listKeys) return this.#list();
      if (request[0] === message.sign) return this.#sign(request.subarray(1));
    } catch {
      // As an agent says of whatever it cannot read.
    }
    return Buffer.of(message.failure);
  }

  #list(): Buffer {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(this.#keys.length);
    const entries = this.#keys.flatMap(({ blob, name }) => [sshString(blob), sshString(Buffer.from(name))]);
    return Buffer.concat([Buffer.of(message.keys), count, ...entries]);
  }

  /** `string key, string data, uint32 flags`. */
  #sign(request: Buffer): Buffer {
    const blob = request.subarray(4, 4 + request.readUInt32BE(0));
    const rest = request.subarray(4 + blob.length);
    const data = rest.subarray(4, 4 + rest.readUInt32BE(0));
    const flags = rest.readUInt32BE(4 + data.length);
    const key = this.#keys.find((one) => one.blob.equals(blob));
    if (key === undefined) return Buffer.of(message.failure);
    const { algorithm, signature } = signatureOf(key, data, flags);
    const content = Buffer.concat([sshString(Buffer.from(algorithm)), sshString(signature)]);
    return Buffer.concat([Buffer.of(message.signature), sshString(content)]);
  }
}

function signatureOf(
  { key, type }: AgentKey,
  data: Buffer,
  flags: number,
): { algorithm: string; signature: Buffer } {
  if (type === 'ssh-ed25519') return { algorithm: type, signature: sign(null, data, key) };
  const digest = curveDigests[type];
  if (digest !== undefined) {
    const both = sign(digest, data, { key, dsaEncoding: 'ieee-p1363' });
    const half = both.length / 2;
    const signature = Buffer.concat([sshNumber(both.subarray(0, half)), sshNumber(both.subarray(half))]);
    return { algorithm: type, signature };
  }
  const padding = constants.RSA_PKCS1_PADDING;
  if ((flags & rsaFlags.sha512) !== 0) {
    return { algorithm: 'rsa-sha2-512', signature: sign('sha512', data, { key, padding }) };
  }
  if ((flags & rsaFlags.sha256) !== 0) {
    return { algorithm: 'rsa-sha2-256', signature: sign('sha256', data, { key, padding }) };
  }
  return { algorithm: type, signature: sign('sha1', data, { key, padding }) };
}
