import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ForeignForwarding } from './foreign-forwarding.ts';

const drop = { family: 'ip', table: 'filter', chain: 'FORWARD' };

/** A machine whose iptables show these rules; `written` is what they were told. */
function machine(rules: readonly string[], chains = [drop], isAllowed = true) {
  const written: string[] = [];
  const notes: string[] = [];
  let activations = 0;
  const foreign = new ForeignForwarding({
    spawner: {
      run: ({ path, argv, stdin }) => {
        if (argv.includes('-S')) {
          const stdout = /ip6|legacy/.test(path) ? '-P FORWARD ACCEPT\n' : `${rules.join('\n')}\n`;
          return Promise.resolve({ exitCode: 0, signal: null, stdout, stderr: '' });
        }
        written.push(...String(stdin).trim().split('\n').slice(1, -1));
        return Promise.resolve({ exitCode: 0, signal: null, stdout: '', stderr: '' });
      },
    },
    netlink: {
      droppingForwardChains: () => chains,
      linkIndex: (name) => (name === 'gone0' ? undefined : 1),
    },
    isAllowed,
    note: (text) => notes.push(text),
    onActive: () => activations++,
  });
  return { foreign, written, notes, activations: () => activations };
}

const dockerds = [
  '-P FORWARD DROP',
  '-A FORWARD -j DOCKER-USER',
  '-A FORWARD -j DOCKER-ISOLATION-STAGE-1',
  '-A FORWARD -o docker0 -j DOCKER',
];

test('ForeignForwarding.open() puts two rules behind those that jump to dockerd’s chains', async () => {
  const { foreign, written, activations } = machine(dockerds);
  await foreign.open('br-1');
  assert.deepEqual(written, [
    '-I FORWARD 3 -i br-1 -m comment --comment coracle:br-1 -j ACCEPT',
    '-I FORWARD 3 -o br-1 -m comment --comment coracle:br-1 -j ACCEPT',
  ]);
  assert.equal(foreign.isActive, true);
  assert.equal(activations(), 1);
});

test('ForeignForwarding.open() leaves what is there, and takes out rules of bridges that are gone', async () => {
  const own = '-A FORWARD -i br-1 -m comment --comment "coracle:br-1" -j ACCEPT';
  const others = '-A FORWARD -i br-2 -m comment --comment "coracle:br-2" -j ACCEPT';
  const orphan = '-A FORWARD -i gone0 -m comment --comment "coracle:gone0" -j ACCEPT';
  const { foreign, written } = machine(['-P FORWARD DROP', own, others, orphan]);
  await foreign.open('br-1');
  assert.deepEqual(written, [
    '-D FORWARD -i gone0 -m comment --comment "coracle:gone0" -j ACCEPT',
    '-I FORWARD 1 -o br-1 -m comment --comment coracle:br-1 -j ACCEPT',
  ]);
  written.length = 0;
  await foreign.close('br-1');
  assert.deepEqual(written, ['-D FORWARD -i br-1 -m comment --comment "coracle:br-1" -j ACCEPT']);
});

test('ForeignForwarding.open() writes nothing where it may not, or where the chain is no iptables’, but says what to do', async () => {
  const forbidden = machine(dockerds, [drop], false);
  await forbidden.foreign.open('br-1');
  assert.deepEqual(forbidden.written, []);
  assert.match(forbidden.notes.join(), /nft insert rule ip filter FORWARD iifname \{ "br-1" \} accept/);
  const nft = machine(['-P FORWARD ACCEPT'], [{ family: 'inet', table: 'mine', chain: 'forward' }]);
  await nft.foreign.open('br-1');
  assert.deepEqual(nft.written, []);
  assert.match(nft.notes.join(), /the chain forward of the table inet mine drops forwarded packets/);
});
