/** `coracle login` and what it keeps, with Debian's docker-registry: by prompts, a credential helper, the environment. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';
import { DockerRegistry, missingPrograms, registryUser } from '../fixtures/docker-registry.ts';

const bundle = fileURLToPath(new URL('../../dist/cli.cjs', import.meta.url));
const missing = missingPrograms('docker', 'docker-registry', 'openssl', 'script');
const reason = missing === undefined ? '' : ` (skipped: ${missing})`;
const { username, password } = registryUser;

/** A credential helper that keeps each registry's secret in a file. */
const helper = `#!/bin/sh
cd "$DOCKER_CONFIG/secrets" || exit 1
case $1 in
store) body=$(cat); url=\${body#*'"ServerURL":"'}; printf %s "$body" > "\${url%%'"'*}";;
get) read -r url; cat "$url" 2>&- || { echo 'credentials not found in native keychain'; exit 1; };;
erase) read -r url; rm "$url" 2>&- || { echo 'no such secret'; exit 1; };;
list) echo '{}';;
esac
`;

describe(`coracle login${reason}`, { skip: missing !== undefined }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'coracle-login-'));
  const secrets = join(directory, 'secrets');
  const configFile = join(directory, 'config.json');
  let daemon: TestDaemon;
  let registry: DockerRegistry;
  let image: string;
  let environment: NodeJS.ProcessEnv;

  function coracle(
    argv: readonly string[],
    options: { input?: string; env?: NodeJS.ProcessEnv } = {},
  ): { status: number | null; output: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [bundle, ...argv], {
      input: options.input ?? '',
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...environment, ...options.env },
    });
    return { status, output: stdout + stderr };
  }
  function works(argv: readonly string[], options: Parameters<typeof coracle>[1] = {}): string {
    const { status, output } = coracle(argv, options);
    assert.equal(status, 0, `coracle ${argv.join(' ')}: ${output}`);
    return output;
  }
  const login = (): string =>
    works(['login', '-u', username, '--password-stdin', registry.domain], { input: `${password}\n` });
  const config = (): { auths?: object } => JSON.parse(readFileSync(configFile, 'utf8')) as { auths?: object };

  before(async () => {
    const program = join(directory, 'docker-credential-test');
    writeFileSync(program, helper);
    chmodSync(program, 0o755);
    registry = await DockerRegistry.start({ isSecure: true });
    daemon = await TestDaemon.start();
    importBaseImage(daemon.host);
    image = `${registry.domain}/private/app:1`;
    environment = {
      ...process.env,
      PATH: `${directory}${delimiter}${process.env['PATH']}`,
      CORACLE_HOST: daemon.host,
      DOCKER_CONFIG: directory,
    };
    works(['tag', baseImage, image]);
  });
  beforeEach(() => {
    rmSync(configFile, { force: true });
    rmSync(secrets, { recursive: true, force: true });
    spawnSync('mkdir', [secrets]);
  });
  after(async () => {
    await daemon?.dispose();
    await registry?.dispose();
    rmSync(directory, { recursive: true, force: true });
  });

  test('keeps the password in the configuration file, and what else is in there', () => {
    writeFileSync(configFile, '{"psFormat":"x"}', { mode: 0o640 });
    assert.match(login(), /Login Succeeded\n[\s\S]*stored unencrypted in '.*config\.json'/);
    const auth = Buffer.from(`${username}:${password}`).toString('base64');
    assert.deepEqual(config(), { psFormat: 'x', auths: { [registry.domain]: { auth } } });
    assert.match(works(['push', image]), /digest: sha256/);
    const again = works(['login', registry.domain]);
    assert.match(again, /Login Succeeded\n[\s\S]*existing credentials\.\.\. \[Username: ann\]\n/);
    assert.doesNotMatch(again, /unencrypted/);
    works(['logout', `https://${registry.domain}/v2/`]);
    assert.deepEqual(config(), { psFormat: 'x', auths: {} });
    assert.match(coracle(['push', image]).output, /no basic auth credentials/);
  });

  test('leaves a configuration file alone that it cannot read', () => {
    writeFileSync(configFile, '{"auths":');
    const asked = ['login', '-u', username, '-p', password, registry.domain];
    assert.equal(coracle(asked).status, 1);
    assert.equal(readFileSync(configFile, 'utf8'), '{"auths":');
  });

  for (const given of [{ credsStore: 'test' }, { credHelpers: {} as Record<string, string> }]) {
    test(`keeps the password with a helper of ${Object.keys(given).join('')}`, () => {
      if (given.credHelpers) given.credHelpers[registry.domain] = 'test';
      writeFileSync(configFile, JSON.stringify(given));
      assert.doesNotMatch(login(), /unencrypted/);
      assert.deepEqual(config(), { ...given, auths: { [registry.domain]: {} } });
      const kept = JSON.parse(readFileSync(join(secrets, registry.domain), 'utf8')) as object;
      assert.deepEqual(kept, { ServerURL: registry.domain, Username: username, Secret: password });
      works(['push', image]);
      works(['rmi', image]);
      works(['pull', image]);
      works(['logout', registry.domain]);
      assert.deepEqual(readdirSync(secrets), []);
      assert.match(coracle(['pull', image]).output, /no basic auth credentials/);
    });
  }

  test('says what a helper says that fails, or is not there', () => {
    writeFileSync(configFile, '{"credsStore":"test"}');
    const { status, output } = coracle(['logout', registry.domain]);
    assert.equal(status, 0);
    assert.match(output, /could not erase credentials:\n.*no such secret/);
    writeFileSync(configFile, '{"credsStore":"nowhere"}');
    assert.match(
      coracle(['pull', image]).output,
      /error getting credentials - err: exec: "docker-credential-nowhere": executable file not found/,
    );
  });

  test('asks on a terminal, and shows no password', async () => {
    const command = [process.execPath, bundle, 'login', registry.domain].join(' ');
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: environment });
    let shown = '';
    const answers = [`${username}\n`, `testpax\x7fss\n`];
    child.stdout.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
      if (shown.endsWith(': ')) child.stdin.write(answers.shift() ?? '');
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(status, 0, shown);
    assert.match(shown, /^Username: ann\r\nPassword: \r\n[\s\S]*Login Succeeded/);
    const refused = coracle(['login', '-u', 'bob', registry.domain]);
    assert.match(refused.output, /Cannot perform an interactive login from a non TTY device/);
  });

  test('counts less than DOCKER_AUTH_CONFIG', () => {
    const auth = Buffer.from(`${username}:${password}`).toString('base64');
    const env = { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { [registry.domain]: { auth } } }) };
    works(['pull', image], { env });
    assert.match(coracle(['pull', image]).output, /no basic auth credentials/);
  });

  test('lets a build pull its base image', () => {
    login();
    works(['rmi', '-f', image]);
    works(['build', '-q', '-t', 'built', '-'], { input: `FROM ${image}\nCMD ["true"]\n` });
    works(['logout', registry.domain]);
    works(['rmi', 'built', image]);
    const failed = coracle(['build', '-'], { input: `FROM ${image}\n` });
    assert.match(failed.output, /no basic auth credentials/);
  });
});
