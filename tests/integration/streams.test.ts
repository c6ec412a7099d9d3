/** Standard streams through the stock docker client: big output, half-close, terminals, detaching. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../fixtures/daemon.ts';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';

describe('streams', () => {
  let daemon: TestDaemon;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    daemon = await TestDaemon.start();
    env = { ...process.env, DOCKER_HOST: daemon.host };
    importBaseImage(daemon.host);
  });
  after(() => daemon.dispose());

  function docker(...argv: string[]): { stdout: string; stderr: string; status: number | null } {
    return spawnSync('docker', argv, { env, encoding: 'utf8', timeout: 60_000 });
  }

  function residentMiB(): number {
    const status = readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) / 1024;
  }

  /** Runs the client with input and hashes its output, reading slowly at first. */
  function piped(
    argv: string[],
    input: Buffer | undefined,
    delayMs = 0,
  ): Promise<{ bytes: number; sha256: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn('docker', argv, { env, stdio: ['pipe', 'pipe', 'inherit'] });
      const hash = createHash('sha256');
      let bytes = 0;
      const read = (): void => {
        child.stdout.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          hash.update(chunk);
        });
      };
      if (delayMs > 0) setTimeout(read, delayMs);
      else read();
      child.on('error', reject);
      child.on('close', () => resolve({ bytes, sha256: hash.digest('hex') }));
      child.stdin.end(input);
    });
  }

  test('100 MB through attach arrive whole, in bounded memory, from a reader that is slow at first', async () => {
    const before = residentMiB();
    const watch = { peak: 0 };
    const timer = setInterval(() => (watch.peak = Math.max(watch.peak, residentMiB())), 50);
    const size = 100 * 1024 * 1024;
    const got = await piped(
      ['run', '--rm', baseImage, 'head', '-c', String(size), '/dev/zero'],
      undefined,
      1500,
    );
    clearInterval(timer);
    const zeros = createHash('sha256');
    for (let left = size; left > 0; left -= 1024 * 1024) zeros.update(Buffer.alloc(1024 * 1024));
    assert.deepEqual(got, { bytes: size, sha256: zeros.digest('hex') });
    assert.ok(watch.peak - before < 120, `the engine grew from ${before} to ${watch.peak} MiB`);
  });

  test('20 MB go in and come out again, end of input included', async () => {
    const input = Buffer.alloc(20 * 1024 * 1024);
    for (let at = 0; at < input.length; at += 4) input.writeUInt32LE(at, at);
    const got = await piped(['run', '--rm', '-i', baseImage, 'cat'], input);
    assert.deepEqual(got, { bytes: input.length, sha256: createHash('sha256').update(input).digest('hex') });
  });

  test('the input of exec ends, too', async () => {
    docker('run', '-d', '--name', 'holder', baseImage, 'sleep', '1000');
    const got = await piped(['exec', '-i', 'holder', 'wc', '-c'], Buffer.alloc(300_000));
    docker('rm', '-f', 'holder');
    assert.equal(got.bytes, '300000\n'.length);
  });

  test('run -it has the size of a real terminal', () => {
    const inner = `stty rows 41 cols 97; docker run --rm -it ${baseImage} sh -c 'sleep 0.3; stty size; tty'`;
    const result = spawnSync('script', ['-qec', inner, '/dev/null'], {
      env,
      encoding: 'utf8',
      timeout: 30_000,
    });
    assert.match(result.stdout, /41 97\r\n\/dev\/pts\/0\r\n/);
    assert.equal(result.status, 0);
  });

  test('a terminal follows a later resize, and SIGWINCH arrives', async () => {
    const script = 'trap "stty size" WINCH; stty size; while :; do sleep 0.1; done';
    docker('create', '-it', '--name', 'term', baseImage, 'sh', '-c', script);
    docker('start', 'term');
    await daemon.call('POST', '/containers/term/resize?h=30&w=70');
    await sleep(500);
    await daemon.call('POST', '/containers/term/resize?h=31&w=71');
    await sleep(500);
    const { stdout } = docker('logs', 'term');
    docker('rm', '-f', 'term');
    assert.match(stdout, /30 70[^]*31 71/);
  });

  test('ctrl-p ctrl-q detaches and leaves the container running', async () => {
    const inner = `docker run -it --name left ${baseImage} sh`;
    const child = spawn('script', ['-qec', inner, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    let seen = '';
    child.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    await until(() => seen.includes('#'));
    child.stdin.write('echo $((40+2))\n');
    await until(() => seen.includes('42'));
    child.stdin.write('\u0010\u0011');
    await new Promise((resolve) => child.on('close', resolve));
    assert.equal(docker('inspect', '-f', '{{.State.Running}}', 'left').stdout, 'true\n');
    docker('rm', '-f', 'left');
  });

  test('a client that goes away leaves nothing behind in the engine', async () => {
    docker('run', '-d', '--name', 'noisy', baseImage, 'sh', '-c', 'while :; do echo x; usleep 1000; done');
    const fds = (): number =>
      spawnSync('ls', [`/proc/${daemon.pid}/fd`], { encoding: 'utf8' }).stdout.split('\n').length;
    await sleep(300);
    const before = fds();
    const clients = Array.from({ length: 10 }, (_, i) =>
      spawn('docker', i % 2 === 0 ? ['logs', '-f', 'noisy'] : ['attach', '--sig-proxy=false', 'noisy'], {
        env,
        stdio: ['ignore', 'ignore', 'ignore'],
      }),
    );
    await sleep(700);
    assert.ok(fds() > before, 'the clients are connected');
    for (const client of clients) client.kill('SIGKILL');
    await until(() => fds() <= before + 1);
    docker('rm', '-f', 'noisy');
  });

  async function until(condition: () => boolean): Promise<void> {
    for (let tries = 0; !condition(); tries++) {
      assert.ok(tries < 200, 'it did not happen within 10 seconds');
      await sleep(50);
    }
  }
});

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
