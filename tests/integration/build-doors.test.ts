/** What a build may be asked for through the API: limits, outputs, entitlements, versions. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { runCli, type CliOutcome } from '../fixtures/build-cli.ts';
import { buildThrough, contextOf, type BuildOutcome } from '../fixtures/build-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';
import { TestRegistry } from '../fixtures/registry.ts';

let daemon: TestDaemon;

before(async () => {
  daemon = await TestDaemon.start();
  importBaseImage(daemon.host);
});

after(() => daemon.dispose());

async function build(
  dockerfile: string,
  parameters: Record<string, unknown> = {},
  options?: Parameters<typeof buildThrough>[3],
): Promise<BuildOutcome> {
  const body = await contextOf({ Dockerfile: dockerfile });
  return await buildThrough(daemon.socket, body, parameters, options);
}

describe('POST /build', () => {
  test('holds steps to the limits of the request, in the cgroup that it names', async () => {
    // The files of both versions of cgroups; swap is counted with memory in the first alone.
    const files = [
      'memory/memory.limit_in_bytes memory.max',
      'memory/memory.memsw.limit_in_bytes memory.swap.max',
      'cpu/cpu.shares cpu.weight',
      'cpu/cpu.cfs_quota_us cpu.max',
      'cpuset/cpuset.cpus cpuset.cpus',
      'cpuset/cpuset.mems cpuset.mems',
    ];
    const show = files.map((both) => `cat ${both} 2>/dev/null || true`).join('; ');
    const dockerfile = `FROM BASE
RUN cd /sys/fs/cgroup; ${show}; cat /proc/self/cgroup
RUN --network=none cat /proc/net/dev | grep -c : ; grep -c outer.test /etc/hosts; hostname
`;
    const { output, error } = await build(dockerfile, {
      memory: 64 * 1024 * 1024,
      memswap: 96 * 1024 * 1024,
      cpushares: 512,
      cpuperiod: 50_000,
      cpuquota: 25_000,
      cpusetcpus: '0',
      cpusetmems: '0',
      extrahosts: 'outer.test:192.0.2.7',
      cgroupparent: '/coracle-build-test',
    });
    assert.equal(error, undefined, output);
    const [, first = '', second = ''] = output.split(/Step \d\/3 : RUN[^\n]*\n/);
    const v1 = existsSync('/sys/fs/cgroup/memory');
    const shown = first.split('\n').filter((line) => /^[\d ]+$/.test(line));
    assert.deepEqual(
      shown,
      v1
        ? [String(64 << 20), String(96 << 20), '512', '25000', '0', '0']
        : [String(64 << 20), String(32 << 20), '20', '25000 50000', '0', '0'],
      first,
    );
    // Version 2 shows a step no cgroup above its own.
    if (v1) assert.match(first, /memory:\/coracle-build-test\//);
    assert.match(second, /\n1\n1\n[0-9a-f]{12}\n/);
    const sizes = await build('FROM BASE\nRUN df -k /dev/shm | tail -1; ulimit -n; ulimit -Hn\n', {
      shmsize: 8 * 1024 * 1024,
      ulimits: [{ Name: 'nofile', Soft: 123, Hard: 456 }],
    });
    assert.match(sizes.output, /shm +8192 .*\n123\n456\n/);
    const wrong = await build('FROM BASE\nRUN true\n', { isolation: 'hyperv' });
    assert.equal(wrong.status, 400);
    assert.equal(wrong.error, 'Unsupported isolation: "hyperv"');
  });

  test("runs steps in a container's network", async () => {
    const run = ['run', '-d', '--name', 'doors-network', '--hostname', 'joined', baseImage, 'sleep', '1000'];
    const cli = (words: readonly string[]): Promise<CliOutcome> => runCli(daemon.host, words);
    assert.equal((await cli(run)).exitCode, 0);
    const mode = { networkmode: 'container:doors-network', nocache: 1 };
    const { output, error } = await build('FROM BASE\nRUN hostname; hostname -i\n', mode);
    assert.equal(error, undefined, output);
    const format = '{{.NetworkSettings.Networks.bridge.IPAddress}}';
    const { stdout } = await cli(['inspect', '-f', format, 'doors-network']);
    assert.ok(output.includes(`\njoined\n${stdout.toString()}`), output);
    await cli(['rm', '-f', 'doors-network']);
    const gone = await build('FROM BASE\nRUN hostname\n', mode);
    assert.match(gone.error ?? '', /No such container: doors-network/);
  });

  test('refuses what it does not do', async () => {
    const local = '[{"Type":"local","Attrs":{"dest":"x"}}]';
    const cases: [Record<string, unknown>, number, RegExp][] = [
      [{ version: 2 }, 501, /^BuildKit \(set DOCKER_BUILDKIT=0\) is not supported by this engine yet$/],
      [{ version: 3 }, 400, /^invalid version "3"$/],
      [{ securityopt: 'seccomp=unconfined' }, 400, /^security options are not supported on linux$/],
      [{ cachefrom: '{' }, 400, /^error reading cache-from: /],
      [{ ulimits: '[{}]' }, 400, /^error reading ulimit settings: /],
      [{ outputs: '[{}]' }, 400, /^invalid outputs specified: /],
      [{ outputs: local }, 501, /^exporter "local" writes files of the client$/],
      [{ outputs: '[{"Type":"none"}]' }, 400, /^exporter "none" could not be found$/],
    ];
    for (const [parameters, status, message] of cases) {
      const answer = await build('FROM BASE\n', parameters);
      assert.equal(answer.status, status, JSON.stringify(parameters));
      assert.match(answer.error ?? '', message);
    }
  });

  test('pushes by `outputs`, with the credentials of X-Registry-Config', async () => {
    const login = { username: 'me', password: 'secret' };
    await using registry = await TestRegistry.start({ auth: { kind: 'basic', ...login } });
    const name = `${registry.domain}/pushed:1`;
    const outputs = JSON.stringify([{ Type: 'registry', Attrs: { name, compression: 'zstd' } }]);
    const dockerfile = 'FROM BASE\nRUN echo pushed > /p\n';
    const refused = await build(dockerfile, { outputs });
    assert.match(refused.error ?? '', /no basic auth credentials|unauthorized/);
    const config = Buffer.from(JSON.stringify({ [registry.domain]: login })).toString('base64url');
    const headers = { 'X-Registry-Config': config };
    const { error, output } = await build(dockerfile, { outputs }, { headers });
    assert.equal(error, undefined, output);
    assert.match(registry.manifests.get('pushed/1')?.bytes.toString() ?? '', /tar\+zstd/);
  });
});

describe('POST /coracle/build', () => {
  test('gives steps what the build was allowed, and no other', async () => {
    const edits = { env: ['GIVEN=yes'], deviceNodes: [{ path: '/dev/given', hostPath: '/dev/null' }] };
    const devices = [{ name: 'null', containerEdits: edits }];
    const directory = '/var/run/cdi';
    const isNew = !existsSync(directory);
    if (isNew) mkdirSync(directory);
    const specification = `${directory}/coracle-test-${process.pid}.json`;
    writeFileSync(specification, JSON.stringify({ cdiVersion: '0.6.0', kind: 'example.com/build', devices }));
    try {
      const dockerfile = `FROM BASE
RUN --security=insecure mkdir /m && mount -t tmpfs none /m && umount /m && grep Seccomp: /proc/self/status
RUN --network=host hostname
RUN --device=example.com/build=null test -c /dev/given && echo given=$GIVEN
RUN --device=example.com/none test ! -e /dev/given && echo no device
`;
      const extended = (text: string, allow: readonly string[]): Promise<BuildOutcome> =>
        build(text, { allow, nocache: 1 }, { path: '/coracle/build' });
      const all = ['security.insecure', 'network.host', 'device'];
      const { error, output } = await extended(dockerfile, all);
      assert.equal(error, undefined, output);
      assert.match(output, /Seccomp:\t0\n/);
      assert.ok(output.includes(`\n${hostname()}\n`), output);
      assert.match(output, /\ngiven=yes\n/);
      assert.match(output, /\nno device\n/);
      const one = ['device=example.com/build=null', 'device=example.com/none', ...all.slice(0, 2)];
      assert.equal((await extended(dockerfile, one)).error, undefined);
      for (const [left, message] of [
        ['security.insecure', 'security.insecure is not allowed'],
        ['network.host', 'network.host is not allowed'],
        ['device', 'device example.com/build=null is requested by the build but not allowed'],
      ] as const) {
        const refused = await extended(
          dockerfile,
          all.filter((name) => name !== left),
        );
        assert.equal(refused.error, message);
      }
      const missing = await extended('FROM BASE\nRUN --device=example.com/none,required true\n', all);
      assert.equal(missing.error, 'required device "example.com/none" is not registered');
    } finally {
      rmSync(specification);
      if (isNew) rmdirSync(directory);
    }
  });
});
