import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProcessError } from '../../errors/index.ts';
import { recordingSyscall } from '../../sys/index.ts';
import { Firewall } from './firewall.ts';
import { removeCommands, rulesetCommands, tableName } from './ruleset.ts';

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
