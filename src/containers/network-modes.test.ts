import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTogether } from './network-modes.ts';

// mode, networks it is in, another one, error
const cases: [string, string[], string, RegExp | undefined][] = [
  ['bridge', ['bridge'], 'mine', undefined],
  ['mine', ['mine', 'bridge'], 'other', undefined],
  ['none', ['none'], 'bridge', /in private \(none\) mode/],
  ['bridge', ['bridge'], 'none', /in private \(none\) mode/],
  ['host', ['host'], 'bridge', /with another container or host/],
  ['host', ['host'], 'host', /connected to host network/],
  ['bridge', ['bridge'], 'host', /connected to host network/],
  ['container:x', [], 'bridge', /with another container or host/],
];

for (const [mode, present, added, message] of cases) {
  test(`checkTogether(): ${mode} in [${present.join()}] and ${added}`, () => {
    const check = (): void => checkTogether(mode, present, added);
    if (message === undefined) check();
    else assert.throws(check, { kind: 'invalid-parameter', message });
  });
}
