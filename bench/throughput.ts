import { execFile, spawn, spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { image, type BenchEngine } from './engines.ts';
import { median } from './measure.ts';

const run = promisify(execFile);
const PORT = 5201;

/**
 * TCP throughput from the host to a container by a published port, divided by that to the container's own address:
 * iperf3 (Debian's) in the container's network, both in turn.
 * @param hostPort free
 * @param rounds of two seconds each
 */
export async function throughputRatio(
  engine: BenchEngine,
  hostPort: number,
  rounds: number,
): Promise<number> {
  const docker = async (...words: string[]): Promise<string> =>
    (await run('docker', words, { env: engine.env })).stdout.trim();
  await docker('run', '-d', '--name', 'speed', '-p', `${hostPort}:${PORT}`, image, 'sleep', '1000');
  const [pid = '', address = '', host = ''] = (
    await docker(
      'inspect',
      '-f',
      '{{.State.Pid}} {{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}}',
      'speed',
    )
  ).split(' ');
  const server = spawn('nsenter', [`--net=/proc/${pid}/ns/net`, 'iperf3', '-s', '-p', String(PORT)], {
    stdio: 'ignore',
  });
  try {
    await delay(500);
    const [own, published]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      own.push(await bitsPerSecond(address, PORT));
      published.push(await bitsPerSecond(host, hostPort));
    }
    return median(published) / median(own);
  } finally {
    server.kill();
    await docker('rm', '-f', 'speed');
  }
}

async function bitsPerSecond(host: string, port: number): Promise<number> {
  const { stdout } = await run('iperf3', ['-J', '-t', '2', '-c', host, '-p', String(port)]);
  const { end } = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second;
}

export const hasIperf = (): boolean => spawnSync('iperf3', ['--version']).status === 0;
