import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { median, timeProcess } from './measure.ts';

/** create, start, wait and remove by the API on kept-alive connections. @returns the median in ms */
export async function apiLives(socketPath: string, image: string, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  const call = (method: string, path: string, body?: unknown): Promise<string> =>
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
  const times: number[] = [];
  for (let i = -3; i < count; i++) {
    const began = performance.now();
    const created = JSON.parse(await call('POST', '/containers/create', { Image: image, Cmd: ['true'] })) as {
      Id: string;
    };
    await call('POST', `/containers/${created.Id}/start`);
    await call('POST', `/containers/${created.Id}/wait`);
    await call('DELETE', `/containers/${created.Id}`);
    if (i >= 0) times.push(performance.now() - began);
  }
  agent.destroy();
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
