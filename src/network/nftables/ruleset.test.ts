import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProcessError } from '../../errors/index.ts';
import { recordingSyscall } from '../../sys/index.ts';
import { Firewall } from './firewall.ts';
import { forwardCommands, removeCommands, rulesetCommands, tableName } from './ruleset.ts';

const rules = { bridge: 'br-1', subnet: '10.0.0.0/24', masquerade: true };

test('rulesetCommands() replaces the one table of the bridge', () => {
  const text = rulesetCommands(rules);
  assert.equal(tableName('br-1'), 'coracle_br_1');
  assert.match(
    text,
    /^table inet coracle_br_1\ndelete table inet coracle_br_1\ntable inet coracle_br_1 \{\n/,
  );
  assert.match(text, /ip saddr 10\.0\.0\.0\/24 oifname != "br-1" masquerade/);
  assert.doesNotMatch(rulesetCommands({ ...rules, masquerade: false }), /oifname != "br-1" masquerade/);
  assert.equal(removeCommands('br-1'), 'table inet coracle_br_1\ndelete table inet coracle_br_1\n');
});

const firewall = (result: { exitCode: number; stdout?: string; stderr?: string }, calls: unknown[] = []) =>
  new Firewall(
    {
      run: (options) => {
        calls.push(options.argv.slice(1), options.stdin);
        return Promise.resolve({ signal: null, stdout: '', stderr: '', ...result });
      },
    },
    recordingSyscall(),
  );

test('Firewall.apply() hands the commands to nft, whose refusal is an error with its words', async () => {
  const calls: unknown[] = [];
  await firewall({ exitCode: 0 }, calls).apply(rules);
  assert.deepEqual(calls, [['-f', '-'], rulesetCommands(rules)]);
  await assert.rejects(
    firewall({ exitCode: 1, stderr: 'Error: syntax error' }).apply(rules),
    (error) => error instanceof ProcessError && /syntax error/.test(error.message),
  );
});

test('Firewall.foreignForwardDrop() finds a forward hook that drops by policy', async () => {
  const chains = (policy: string) =>
    JSON.stringify({
      nftables: [
        { metainfo: { version: '1' } },
        { chain: { family: 'ip', table: 'filter', name: 'FORWARD', hook: 'forward', policy } },
        { chain: { family: 'ip', table: 'filter', name: 'DOCKER-USER' } },
      ],
    });
  assert.equal(await firewall({ exitCode: 0, stdout: chains('drop') }).foreignForwardDrop(), true);
  assert.equal(await firewall({ exitCode: 0, stdout: chains('accept') }).foreignForwardDrop(), false);
  assert.equal(await firewall({ exitCode: 1 }).foreignForwardDrop(), false);
});

test('forwardCommands() makes one element of neighbouring ports that keep their numbers', () => {
  const forward = (hostPort: number, containerPort: number, hostAddress = '0.0.0.0') => ({
    port: { protocol: 'tcp', containerPort, hostAddress, hostPort } as const,
    address: '10.0.0.2',
  });
  const forwards = Array.from({ length: 5000 }, (_, i) => forward(20000 + i, 20000 + i));
  forwards.push(forward(8080, 80), forward(8081, 80, '127.0.0.1'), forward(20000, 20000, '127.0.0.1'));
  assert.deepEqual(forwardCommands('br-1', forwards, 'add').trim().split('\n'), [
    'add element inet coracle_br_1 ports { tcp . 8080 : 10.0.0.2 . 80 }',
    'add element inet coracle_br_1 port_ranges { tcp . 20000-24999 : 10.0.0.2 }',
    'add element inet coracle_br_1 bound_ports { 127.0.0.1 . tcp . 8081 : 10.0.0.2 . 80 }',
    'add element inet coracle_br_1 bound_ports { 127.0.0.1 . tcp . 20000 : 10.0.0.2 . 20000 }',
  ]);
  assert.equal(
    forwardCommands('br-1', [forward(8080, 80)], 'delete'),
    'delete element inet coracle_br_1 ports { tcp . 8080 }\n',
  );
});

test('Firewall puts what is asked for meanwhile into one transaction, and tells apart which failed', async () => {
  const runs: string[] = [];
  const slow = new Firewall(
    {
      run: async ({ stdin }) => {
        runs.push(String(stdin));
        await new Promise((resolve) => setImmediate(resolve));
        const exitCode = String(stdin).includes('br_bad') ? 1 : 0;
        return { exitCode, signal: null, stdout: '', stderr: 'no' };
      },
    },
    recordingSyscall(),
  );
  const results = await Promise.allSettled([slow.remove('br-1'), slow.remove('br-bad'), slow.remove('br-3')]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.equal(runs.length, 4);
  assert.ok(runs[1]?.includes('br_bad') && runs[1].includes('br_3'));
});
