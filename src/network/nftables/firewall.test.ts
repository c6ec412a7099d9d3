import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProcessError, SyscallError } from '../../errors/index.ts';
import type { FirewallElement } from '../../sys/index.ts';
import { addressField, linkField, type Element } from './element.ts';
import { Firewall } from './firewall.ts';
import { Nft } from './nft.ts';
import { guardTableCommands, rulesetCommands } from './ruleset.ts';

const rules = { bridge: 'br-1', subnet: '10.0.0.0/24', masquerade: true };
const element: Element = {
  family: 'bridge',
  set: 'sources',
  key: [linkField('x'), addressField('10.0.0.2')],
};

interface Call {
  stdin: string;
  parameters: readonly string[];
}

/** nft answers with `result`; the kernel refuses changes to what is in `missing`. */
function machine(
  result: (call: Call) => { exitCode: number; stdout?: string; stderr?: string } = () => ({ exitCode: 0 }),
  refuse: (action: string, elements: readonly FirewallElement[]) => string | undefined = () => undefined,
) {
  const calls: Call[] = [];
  const changes: string[] = [];
  const notes: string[] = [];
  const firewall = new Firewall({
    nft: new Nft({
      run: async ({ argv, stdin }) => {
        const call = { parameters: argv.slice(1), stdin: String(stdin) };
        calls.push(call);
        await new Promise((resolve) => setImmediate(resolve));
        return { signal: null, stdout: '', stderr: '', ...result(call) };
      },
    }),
    netlink: {
      changeFirewall: (action, elements) => {
        const errno = refuse(action, elements);
        if (errno !== undefined) throw new SyscallError('change', errno, 'table');
        changes.push(`${action} ${elements.map(({ set }) => set).join(' ')}`);
      },
      addOffsetTranslations: (added) => changes.push(`rules ${added.length}`),
    },
    onFailure: (message) => notes.push(message),
  });
  return { firewall, calls, changes, notes };
}

test('Firewall.apply() hands both tables to nft at once, whose refusal is an error with its words', async () => {
  const { firewall, calls, changes } = machine();
  await firewall.apply('br-1', () => rules);
  assert.deepEqual(calls, [
    { parameters: ['-f', '-'], stdin: rulesetCommands(rules) + guardTableCommands(rules) },
  ]);
  assert.deepEqual(changes, ['rules 4']);
  await assert.rejects(
    machine(() => ({ exitCode: 1, stderr: 'Error: syntax error' })).firewall.apply('br-1', () => rules),
    (error) => error instanceof ProcessError && /syntax error/.test(error.message),
  );
});

test('Firewall.apply() does without bridge tables where the kernel has none, and says so', async () => {
  const { firewall, notes, changes } = machine(({ stdin }) => ({
    exitCode: stdin.includes('table bridge') ? 1 : 0,
  }));
  await firewall.apply('br-1', () => rules);
  assert.match(notes.join(), /source addresses inside of a network are not checked/);
  firewall.add('br-1', [element]);
  assert.deepEqual(changes, ['rules 4', 'add ']);
});

test('Firewall.add() while the table is being written holds afterwards, whichever came first', async () => {
  const { firewall, changes } = machine();
  const applied = firewall.apply('br-1', () => rules);
  firewall.add('br-1', [element]);
  await applied;
  assert.deepEqual(changes, ['add sources', 'rules 4', 'add sources']);
});

test('Firewall.delete() takes out what is there, though other elements are gone', () => {
  const gone = machine(undefined, (_action, elements) =>
    elements.some(({ set }) => set === 'sources') ? 'ENOENT' : undefined,
  );
  gone.firewall.delete('br-1', [element, { ...element, set: 'links' }]);
  assert.deepEqual(gone.changes, ['delete links']);
  const broken = machine(undefined, () => 'EPERM');
  assert.throws(() => broken.firewall.delete('br-1', [element]), /EPERM|not permitted/);
});

test('Firewall puts what is asked for meanwhile into one transaction, and tells apart which failed', async () => {
  const { firewall, calls } = machine(({ stdin }) => ({ exitCode: stdin.includes('br_bad') ? 1 : 0 }));
  const results = await Promise.allSettled(
    ['br-1', 'br-bad', 'br-3'].map((bridge) => firewall.remove(bridge)),
  );
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.equal(calls.length, 4);
  assert.ok(calls[1]?.stdin.includes('br_bad') && calls[1].stdin.includes('br_3'));
});
