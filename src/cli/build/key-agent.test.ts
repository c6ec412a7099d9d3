import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync, verify, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { KeyAgent } from './key-agent.ts';
import { publicBlob, sshString } from './private-key.ts';

const directory = mkdtempSync(join(tmpdir(), 'coracle-keys-'));
after(() => rmSync(directory, { recursive: true }));

function save(name: string, key: KeyObject): string {
  const path = join(directory, name);
  writeFileSync(path, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return path;
}

/** One request and its answer. */
async function ask(agent: KeyAgent, request: Buffer): Promise<Buffer> {
  const connection = agent.connect();
  connection.write(sshString(request));
  for await (const chunk of connection) {
    connection.destroy();
    return (chunk as Buffer).subarray(4);
  }
  throw new Error('the agent gave no answer');
}

function fieldsOf(bytes: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at);
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

const data = Buffer.from('what is to be signed');
const flags = (value: number): Buffer => Buffer.of(0, 0, 0, value);

async function signature(agent: KeyAgent, blob: Buffer, asked: number): Promise<[string, Buffer]> {
  const answer = await ask(
    agent,
    Buffer.concat([Buffer.of(13), sshString(blob), sshString(data), flags(asked)]),
  );
  assert.equal(answer[0], 14);
  const [content = Buffer.alloc(0)] = fieldsOf(answer.subarray(1));
  const [algorithm, bytes] = fieldsOf(content) as [Buffer, Buffer];
  return [algorithm.toString(), bytes];
}

describe('KeyAgent', () => {
  test('lists its keys, and signs by RSA and Ed25519', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const edwards = generateKeyPairSync('ed25519');
    const agent = KeyAgent.open([save('rsa', rsa.privateKey), save('edwards', edwards.privateKey)]);
    const listed = await ask(agent, Buffer.of(11));
    const [first, , second] = fieldsOf(listed.subarray(5));
    assert.deepEqual([listed[0], listed.readUInt32BE(1)], [12, 2]);
    const blobs = [publicBlob(rsa.publicKey).blob, publicBlob(edwards.publicKey).blob] as const;
    assert.deepEqual([first, second], blobs);
    for (const [asked, name, digest] of [
      [0, 'ssh-rsa', 'sha1'],
      [2, 'rsa-sha2-256', 'sha256'],
      [4, 'rsa-sha2-512', 'sha512'],
    ] as const) {
      const [algorithm, bytes] = await signature(agent, blobs[0], asked);
      assert.equal(algorithm, name);
      assert.ok(verify(digest, data, rsa.publicKey, bytes));
    }
    const [algorithm, bytes] = await signature(agent, blobs[1], 0);
    assert.equal(algorithm, 'ssh-ed25519');
    assert.ok(verify(null, data, edwards.publicKey, bytes));
  });

  for (const [curve, digest, size] of [
    ['P-256', 'sha256', 32],
    ['P-384', 'sha384', 48],
    ['P-521', 'sha512', 66],
  ] as const) {
    test(`signs by ECDSA on ${curve}`, async () => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
      const agent = KeyAgent.open([save(curve, privateKey)]);
      const [algorithm, bytes] = await signature(agent, publicBlob(publicKey).blob, 0);
      assert.equal(algorithm, `ecdsa-sha2-nistp${curve.slice(2)}`);
      const halves = fieldsOf(bytes).map((part) => {
        const digits = part[0] === 0 ? part.subarray(1) : part;
        return Buffer.concat([Buffer.alloc(size - digits.length), digits]);
      });
      assert.ok(verify(digest, data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.concat(halves)));
    });
  }

  test('fails what it does not do: unknown keys, broken requests, adding a key', async () => {
    const agent = KeyAgent.open([save('one', generateKeyPairSync('ed25519').privateKey)]);
    const other = publicBlob(generateKeyPairSync('ed25519').publicKey).blob;
    const foreign = Buffer.concat([Buffer.of(13), sshString(other), sshString(data), flags(0)]);
    for (const request of [foreign, Buffer.of(13, 0, 0, 0, 9), Buffer.of(17), Buffer.alloc(0)]) {
      assert.deepEqual([...(await ask(agent, request))], [5]);
    }
  });

  test('refuses files that hold no key, and keys with a passphrase, without showing them', () => {
    const path = join(directory, 'text');
    writeFileSync(path, 'something private');
    assert.throws(() => KeyAgent.open([path]), {
      message: /text: it is neither the socket of an SSH agent nor a private key$/,
    });
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' });
    writeFileSync(path, pem);
    assert.throws(() => KeyAgent.open([path]), /is protected by a passphrase: put it into an agent/);
  });

  const hasOpenSsh = spawnSync('ssh-keygen', ['-?']).error === undefined;
  const reason = hasOpenSsh ? false : "OpenSSH's ssh-keygen is not installed";
  test("reads OpenSSH's keys, and OpenSSH takes its signatures", { skip: reason }, async () => {
    const kinds = ['ed25519', 'rsa', 'ecdsa'];
    const files = kinds.map((kind) => join(directory, `openssh-${kind}`));
    for (const [at, file] of files.entries()) {
      const words = ['-q', '-t', kinds[at] ?? '', '-N', '', '-C', 'test', '-f', file];
      assert.equal(spawnSync('ssh-keygen', words).status, 0);
    }
    const agent = KeyAgent.open(files);
    const socket = join(directory, 'agent');
    const server = createServer((connection) => {
      connection.on('error', () => connection.destroy());
      connection.pipe(agent.connect()).pipe(connection);
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      const subject = join(directory, 'subject');
      writeFileSync(subject, data);
      for (const file of files) {
        // With the public half alone it asks the agent for the signature.
        rmSync(file);
        const made = await run(
          'ssh-keygen',
          ['-Y', 'sign', '-n', 'file', '-f', `${file}.pub`, subject],
          socket,
        );
        assert.equal(made.status, 0, made.stderr);
        const checked = spawnSync(
          'ssh-keygen',
          ['-Y', 'check-novalidate', '-n', 'file', '-s', `${subject}.sig`],
          {
            input: data,
            encoding: 'utf8',
          },
        );
        assert.equal(checked.status, 0, checked.stderr);
        rmSync(`${subject}.sig`);
      }
    } finally {
      server.close();
    }
    const locked = join(directory, 'locked');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'passphrase', '-f', locked]);
    assert.throws(() => KeyAgent.open([locked]), /is protected by a passphrase/);
  });
});

async function run(
  command: string,
  words: readonly string[],
  socket: string,
): Promise<{ status: number | null; stderr: string }> {
  const child = spawn(command, words, { env: { PATH: process.env['PATH'], SSH_AUTH_SOCK: socket } });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end();
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, stderr };
}
