import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capabilitiesInMask, containerCapabilities, defaultCapabilities } from './capabilities.ts';

const bounding = [...defaultCapabilities, 'CAP_SYS_ADMIN', 'CAP_NET_ADMIN'];
const without = (...names: string[]): string[] => defaultCapabilities.filter((name) => !names.includes(name));

const cases: [string, string[] | null, string[] | null, boolean, string[]][] = [
  ['nothing asked', null, null, false, [...defaultCapabilities]],
  ['one more', ['net_admin'], null, false, [...defaultCapabilities, 'CAP_NET_ADMIN']],
  ['one it has', ['CHOWN'], null, false, [...defaultCapabilities]],
  ['one less', null, ['CAP_MKNOD'], false, without('CAP_MKNOD')],
  ['all less', null, ['ALL'], false, []],
  ['all less and one more', ['SYS_ADMIN', 'sys_admin'], ['all'], false, ['CAP_SYS_ADMIN']],
  ['all more', ['ALL'], null, false, bounding],
  ['all more and one less', ['ALL'], ['kill'], false, bounding.filter((name) => name !== 'CAP_KILL')],
  ['less of what the engine lacks', null, ['SYS_RESOURCE'], false, [...defaultCapabilities]],
  ['privileged', null, ['ALL'], true, bounding],
];
for (const [what, add, drop, privileged, expected] of cases)
  test(`containerCapabilities() with ${what}`, () => {
    assert.deepEqual(containerCapabilities({ add, drop, privileged, bounding }), expected);
  });

test('containerCapabilities() leaves out defaults that the engine does not have', () => {
  assert.deepEqual(
    containerCapabilities({ add: null, drop: null, privileged: false, bounding: ['CAP_KILL', 'CAP_BPF'] }),
    ['CAP_KILL'],
  );
});

test('containerCapabilities() refuses names nobody knows and what the engine does not have', () => {
  const of = (name: string) => () =>
    containerCapabilities({ add: [name], drop: null, privileged: false, bounding });
  assert.throws(of('foo'), { kind: 'invalid-parameter', message: 'unknown capability: "CAP_FOO"' });
  assert.throws(of('SYS_RESOURCE'), {
    message:
      'capability not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE"',
  });
});

test('capabilitiesInMask() reads the mask of /proc/<pid>/status', () => {
  assert.deepEqual(capabilitiesInMask('00000000a80425fb').toSorted(), [...defaultCapabilities].toSorted());
  assert.equal(capabilitiesInMask('000001ffffffffff').length, 41);
  assert.ok(!capabilitiesInMask('000001fffeffffff').includes('CAP_SYS_RESOURCE'));
});
