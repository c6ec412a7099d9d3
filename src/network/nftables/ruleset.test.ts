import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  assert.equal(removeCommands('br-1', 'inet'), 'table inet coracle_br_1\ndelete table inet coracle_br_1\n');
});

test('rulesetCommands() lets nobody outside send to containers behind NAT, but trusted links', () => {
  const drop = /iifname != \{ ([^}]*) \} ip daddr 10\.0\.0\.0\/24 fib daddr type != local drop/;
  assert.equal(drop.exec(rulesetCommands(rules))?.[1], '"br-1", "lo"');
  assert.equal(drop.exec(rulesetCommands({ ...rules, trustedLinks: ['wan'] }))?.[1], '"br-1", "lo", "wan"');
  for (const open of [{ masquerade: false }, { mode4: 'routed' }, { mode4: 'nat-unprotected' }] as const)
    assert.doesNotMatch(rulesetCommands({ ...rules, ...open }), drop);
});

test('rulesetCommands() hides containers behind a chosen address, and those of a routed network not at all', () => {
  const both = { ...rules, subnet6: 'fd00::/64', sourceAddress4: '192.0.2.9', mode6: 'routed' } as const;
  const text = rulesetCommands(both);
  assert.match(text, /ip saddr 10\.0\.0\.0\/24 oifname != "br-1" snat ip to 192\.0\.2\.9/);
  assert.doesNotMatch(text, /ip6 saddr fd00::\/64 oifname != /);
  assert.match(
    text,
    /ip6 daddr \. meta l4proto \. th dport @open_ports6 accept\n {4}icmpv6 type echo-request accept/,
  );
});
