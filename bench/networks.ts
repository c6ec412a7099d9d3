/**
 * Networks and ports beside dockerd, in one run on one machine: `unshare --net --mount node bench/networks.ts [row …]`
 * (two dockerds in one namespace spoil each other's rules). Ratios below 1 mean
 * that we are faster; absolute times mean nothing elsewhere.
 */
import { spawnSync } from 'node:child_process';
import { image, startEngines, type BenchEngine } from './engines.ts';
import { NameClient } from './names.ts';
import { compare, measureRows, timeCommand, type Row } from './measure.ts';
import { hasIperf, throughputRatio } from './throughput.ts';

const all = await startEngines();
const engines = all.filter(({ socket }) => socket !== undefined);
/** Engines measured side by side must not want the same port of the host. */
const firstPort = (engine: BenchEngine): number => 21_000 + engines.indexOf(engine) * 6_000;

const docker = (engine: BenchEngine, ...words: string[]): void => {
  const { status, stderr } = spawnSync('docker', words, { env: engine.env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${engine.name}: docker ${words.join(' ')}: ${stderr}`);
};
const everywhere = (...words: string[]): void => {
  for (const engine of engines) docker(engine, ...words);
};

/** `docker run --rm` that publishes so many ports as one range. */
const published = (what: string, ports: number, rounds: number, by = engines): Promise<Row> =>
  compare(what, by, rounds, (engine) => {
    const first = firstPort(engine);
    const range = ports === 1 ? `${first}:80` : `${first}-${first + ports - 1}:${first}-${first + ports - 1}`;
    return timeCommand(engine, ['run', '--rm', '-p', range, image, 'true']);
  });

/** What a client in a container's network sees of its name server. */
async function withNames(
  what: string,
  rounds: number,
  ask: (client: NameClient) => Promise<number>,
): Promise<Row> {
  everywhere('run', '-d', '--name', 'known', '--network', 'bench', image, 'sleep', '1000');
  const body = async (engine: BenchEngine): Promise<number> => {
    using client = NameClient.open(engine, 'known', 'known');
    return await ask(client);
  };
  const row = await compare(what, engines, rounds, { body });
  everywhere('rm', '-f', 'known');
  return row;
}

const benches: Record<string, () => Promise<Row>> = {
  plain: () =>
    compare('docker run --rm, default bridge', engines, 10, (e) =>
      timeCommand(e, ['run', '--rm', image, 'true']),
    ),
  published: () => published('docker run --rm, one published port', 1, 10),
  published20: () => published('docker run --rm, 20 published ports', 20, 5),
  range: () => published('docker run --rm, a range of 200 ports', 200, 3),
  range5000: async () => ({
    // A dockerd starts five thousand processes, for which a machine has not always room.
    ...(await published('docker run --rm, a range of 5,000 ports', 5000, 3, engines.slice(0, 1))),
    note: 'not by dockerd: it starts a process for each port',
  }),
  shifted: async () =>
    compare('docker run --rm, 5,000 ports under other numbers', engines.slice(0, 1), 3, (engine) => {
      const first = firstPort(engine);
      const range = `${first}-${first + 4999}:80-5079`;
      return timeCommand(engine, ['run', '--rm', '-p', range, image, 'true']);
    }),
  user: () =>
    compare("docker run --rm, a user's network", engines, 10, (e) =>
      timeCommand(e, ['run', '--rm', '--network', 'bench', image, 'true']),
    ),
  parallel: () =>
    compare("32 × docker run --rm at once, a user's network", engines, 3, async (engine) => {
      const began = performance.now();
      const run = () => timeCommand(engine, ['run', '--rm', '--network', 'bench', image, 'true']);
      await Promise.all(Array.from({ length: 32 }, run));
      return performance.now() - began;
    }),
  connect: async () => {
    everywhere('run', '-d', '--name', 'connected', image, 'sleep', '1000');
    const row = await compare('network connect and disconnect', engines, 10, async (engine) => {
      const connect = await timeCommand(engine, ['network', 'connect', 'bench', 'connected']);
      return connect + (await timeCommand(engine, ['network', 'disconnect', 'bench', 'connected']));
    });
    everywhere('rm', '-f', 'connected');
    return row;
  },
  names: async () => {
    everywhere('run', '-d', '--name', 'known', '--network', 'bench', image, 'sleep', '1000');
    const script = 'for i in $(seq 100); do nslookup known 127.0.0.11 >/dev/null; done; true';
    const row = await compare('100 × nslookup of a container, one after the other', engines, 3, (engine) =>
      timeCommand(engine, ['exec', 'known', 'sh', '-c', script]),
    );
    everywhere('rm', '-f', 'known');
    return row;
  },
  queries: () => withNames('10,000 names asked for, 32 at a time', 3, (client) => client.many(10_000)),
  latency: () =>
    withNames('names: 99th percentile of 2,000, one after the other', 3, (client) => client.p99(2000)),
  throughput: async () => {
    const values: Record<string, number> = {};
    if (hasIperf())
      for (const engine of engines) values[engine.name] = await throughputRatio(engine, firstPort(engine), 3);
    return { what: 'TCP by a published port ÷ to the container itself', unit: '', values };
  },
  create: () =>
    compare('network create and rm', engines, 5, async (engine) => {
      const create = await timeCommand(engine, ['network', 'create', 'short']);
      return create + (await timeCommand(engine, ['network', 'rm', 'short']));
    }),
};

try {
  everywhere('network', 'create', 'bench');
  await measureRows(benches, engines);
  everywhere('network', 'rm', 'bench');
} finally {
  for (const engine of all) await engine.dispose();
}
