import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { median, timeProcess } from './measure.ts';

type Call = (method: string, path: string, body?: unknown) => Promise<string>;

/** Requests to an engine; the agent keeps connections, none opens one for each. */
function caller(socketPath: string, agent: Agent | false): Call {
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const headers =
        text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': text.length };
      const sent = request({ socketPath, method, path, agent, headers }, (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (answer += chunk));
        response.on('end', () =>
          (response.statusCode ?? 500) < 400 ? resolve(answer) : reject(new Error(`${path}: ${answer}`)),
        );
      });
      sent.on('error', reject);
      sent.end(text);
    });
}

async function life(call: Call, image: string): Promise<void> {
  const created = JSON.parse(await call('POST', '/containers/create', { Image: image, Cmd: ['true'] })) as {
    Id: string;
  };
  await call('POST', `/containers/${created.Id}/start`);
  await call('POST', `/containers/${created.Id}/wait`);
  await call('DELETE', `/containers/${created.Id}`);
}

/** create, start, wait and remove by the API on kept-alive connections. @returns the median in ms */
export async function apiLives(socketPath: string, image: string, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  const call = caller(socketPath, agent);
  const times: number[] = [];
  for (let i = -3; i < count; i++) {
    const began = performance.now();
    await life(call, image);
    if (i >= 0) times.push(performance.now() - began);
  }
  agent.destroy();
  return median(times);
}

/** The same for `count` containers, eight at a time. @returns ms for all of them */
export async function apiParallelLives(socketPath: string, image: string, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  const call = caller(socketPath, agent);
  const began = performance.now();
  let left = count;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (left-- > 0) await life(call, image);
    }),
  );
  agent.destroy();
  return performance.now() - began;
}

/** `exec true` in a running container, output attached, exit code asked for. @returns the median in ms */
export async function apiExecs(socketPath: string, image: string, count: number): Promise<number> {
  const call = caller(socketPath, false);
  const made = JSON.parse(
    await call('POST', '/containers/create', { Image: image, Cmd: ['sleep', '1000'] }),
  ) as { Id: string };
  await call('POST', `/containers/${made.Id}/start`);
  const times: number[] = [];
  for (let i = -3; i < count; i++) {
    const began = performance.now();
    const exec = JSON.parse(
      await call('POST', `/containers/${made.Id}/exec`, {
        Cmd: ['true'],
        AttachStdout: true,
        AttachStderr: true,
      }),
    ) as { Id: string };
    await call('POST', `/exec/${exec.Id}/start`, { Detach: false, Tty: false });
    const ended = JSON.parse(await call('GET', `/exec/${exec.Id}/json`)) as { ExitCode: number | null };
    if (ended.ExitCode !== 0) throw new Error(`exec ended with ${ended.ExitCode}`);
    if (i >= 0) times.push(performance.now() - began);
  }
  await call('DELETE', `/containers/${made.Id}?force=1`);
  return median(times);
}

/** `crun run` of a container that does nothing: what no engine can be faster than. @returns the median in ms */
export async function crunRuns(count: number): Promise<number> {
  const bundle = mkdtempSync(join(tmpdir(), 'bench-crun-'));
  mkdirSync(join(bundle, 'rootfs/bin'), { recursive: true });
  cpSync('/bin/busybox', join(bundle, 'rootfs/bin/busybox'));
  symlinkSync('busybox', join(bundle, 'rootfs/bin/true'));
  spawnSync('crun', ['spec'], { cwd: bundle });
  const config = join(bundle, 'config.json');
  const spec = JSON.parse(String(spawnSync('cat', [config]).stdout)) as {
    process: { terminal: boolean; args: string[] };
  };
  spec.process.terminal = false;
  spec.process.args = ['true'];
  writeFileSync(config, JSON.stringify(spec));
  const times: number[] = [];
  for (let i = 0; i < count; i++)
    times.push(await timeProcess(['crun', 'run', '-b', bundle, `bench-${process.pid}-${i}`], process.env));
  rmSync(bundle, { recursive: true });
  return median(times);
}
