/**
 * The life of containers beside dockerd and podman, in one run on one machine:
 * `node bench/containers.ts [row …]`. Ratios below 1 mean that we are faster; absolute times mean nothing elsewhere.
 */
import { spawnSync } from 'node:child_process';
import { image, memoryMiB, startEngines, childrenOf, type BenchEngine } from './engines.ts';
import { compare, measureRows, median, timeCommand, timeProcess, type Row } from './measure.ts';
import { apiExecs, apiLives, apiParallelLives, crunRuns } from './api-life.ts';

const engines = await startEngines();
const withSocket = engines.filter((engine) => engine.socket !== undefined);
const megabytes100 = 100 * 1024 * 1024;

const benches: Record<string, () => Promise<Row>> = {
  bridge: () =>
    compare('docker run --rm busybox true, bridge', engines, 15, (e) =>
      timeCommand(e, ['run', '--rm', image, 'true']),
    ),
  none: () =>
    compare('docker run --rm --network none busybox true', engines, 15, (e) =>
      timeCommand(e, ['run', '--rm', '--network', 'none', image, 'true']),
    ),
  detached: async () => {
    const row = await compare('docker run -d busybox sleep', engines, 10, (e, round) =>
      timeCommand(e, ['run', '-d', '--name', `detached${round + 1}`, image, 'sleep', '1000']),
    );
    for (const engine of engines) removeAll(engine);
    return row;
  },
  exec: async () => {
    for (const engine of engines)
      await timeCommand(engine, ['run', '-d', '--name', 'exec-target', image, 'sleep', '1000']);
    const row = await compare('docker exec true', engines, 15, (e) =>
      timeCommand(e, ['exec', 'exec-target', 'true']),
    );
    for (const engine of engines) removeAll(engine);
    return row;
  },
  parallel: () =>
    compare('40 × docker run --rm, 8 at a time', engines, 3, async (engine) => {
      const began = performance.now();
      let left = 40;
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          while (left-- > 0) await timeCommand(engine, ['run', '--rm', image, 'true']);
        }),
      );
      return performance.now() - began;
    }),
  ps500: async () => {
    for (const engine of engines) {
      const command = [...engine.command, 'create', image, 'true'].join(' ');
      spawnSync('sh', ['-c', `for i in $(seq 500); do ${command} >/dev/null; done`], { env: engine.env });
    }
    const row = await compare('docker ps -a of 500', engines, 7, (e) => timeCommand(e, ['ps', '-a']));
    for (const engine of engines) removeAll(engine);
    return row;
  },
  log: async () => {
    const row = await compare('container writes 100 MB of log', engines, 2, (e) =>
      timeCommand(e, [
        'run',
        '--rm',
        '-d',
        '--name',
        'logger',
        image,
        'sh',
        '-c',
        'yes 0123456789012345678901234567890123456789012345678901234567890 | head -c 104857600',
      ]).then(async (took) => {
        const began = performance.now();
        await timeCommand(e, ['wait', 'logger']).catch(() => 0);
        return took + performance.now() - began;
      }),
    );
    return row;
  },
  attach: () =>
    compare('100 MB through attach', engines, 2, (e) =>
      timeCommand(e, ['run', '--rm', image, 'head', '-c', String(megabytes100), '/dev/zero'], megabytes100),
    ),
  api: async () => {
    const row: Row = { what: 'API create+start+wait+remove, p50', unit: 'ms', values: {} };
    for (const engine of withSocket) row.values[engine.name] = await apiLives(engine.socket ?? '', image, 40);
    const crun = await crunRuns(20);
    row.note = `crun run alone ${crun.toFixed(1)} ms`;
    return row;
  },
  apiExec: async () => {
    const row: Row = { what: 'exec true by the API, p50', unit: 'ms', values: {} };
    for (const engine of withSocket) row.values[engine.name] = await apiExecs(engine.socket ?? '', image, 30);
    return row;
  },
  apiParallel: () =>
    compare('40 lives by the API, 8 at a time', withSocket, 3, (engine) =>
      apiParallelLives(engine.socket ?? '', image, 40),
    ),
  client: async () => {
    const engine = engines[0] as BenchEngine;
    const own: number[] = [];
    const dockers: number[] = [];
    const env = { ...engine.env, CORACLE_HOST: engine.env['DOCKER_HOST'] };
    for (let round = 0; round < 15; round++) {
      own.push(await timeProcess(['./coracle', 'ps', '-q'], env));
      dockers.push(await timeProcess(['docker', 'ps', '-q'], env));
    }
    const values = { coracle: median(own), dockerd: median(dockers) };
    return {
      what: 'client round trip (`ps -q`): coracle CLI beside docker CLI, both on our engine',
      unit: 'ms',
      values,
    };
  },
  memory: async () => {
    const row: Row = { what: 'memory of the engine, idle (PSS)', unit: 'MiB', values: {} };
    for (const engine of withSocket) row.values[engine.name] = memoryMiB(engine.enginePids());
    return row;
  },
  memoryPerContainer: async () => {
    const row: Row = {
      what: 'memory per running container, monitor included (PSS)',
      unit: 'MiB',
      values: {},
    };
    for (const engine of withSocket) {
      const before = memoryMiB(allPids(engine));
      for (let i = 0; i < 20; i++) await timeCommand(engine, ['run', '-d', image, 'sleep', '1000']);
      row.values[engine.name] = (memoryMiB(allPids(engine)) - before) / 20;
      removeAll(engine);
    }
    return row;
  },
};

/** The engine, and every monitor: they are children of the engine or of init. */
function allPids(engine: BenchEngine): number[] {
  const monitors = spawnSync('pgrep', ['-x', engine.name === 'coracle' ? 'conmon' : 'containerd-shim'], {
    encoding: 'utf8',
  });
  const pids = monitors.stdout.split('\n').filter(Boolean).map(Number);
  return [...new Set([...engine.enginePids(), ...engine.enginePids().flatMap(childrenOf), ...pids])];
}

function removeAll(engine: BenchEngine): void {
  const command = engine.command.join(' ');
  spawnSync(
    'sh',
    [
      '-c',
      `${command} ps -aq | xargs -r -n 50 ${command} rm -f -t 0 || ${command} ps -aq | xargs -r -n 50 ${command} rm -f`,
    ],
    {
      env: engine.env,
    },
  );
}

try {
  await measureRows(benches, engines);
} finally {
  for (const engine of engines) await engine.dispose();
}
