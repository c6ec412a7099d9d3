import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPlatform } from '../spec/index.ts';
import { amd64Level, machinePlatform } from './machine-platform.ts';

test('amd64Level() tells the level of the psABI', () => {
  const cpu = (flags: string): string => `processor\t: 0\nflags\t\t: fpu sse2 ${flags}\nbugs\t\t:\n`;
  const v2 = 'cx16 lahf_lm popcnt ssse3 sse4_1 sse4_2';
  const v3 = `${v2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave`;
  const v4 = `${v3} avx512f avx512bw avx512cd avx512dq avx512vl`;
  assert.equal(amd64Level(''), 1);
  assert.equal(amd64Level(cpu('')), 1);
  assert.equal(amd64Level(cpu(v2)), 2);
  assert.equal(amd64Level(cpu(v2.replace('popcnt', ''))), 1);
  assert.equal(amd64Level(cpu(v3)), 3);
  assert.equal(amd64Level(cpu(v3.replace('cx16', ''))), 1);
  assert.equal(amd64Level(cpu(v4)), 4);
});

test('machinePlatform() is this machine', () => {
  const { os, architecture } = machinePlatform();
  assert.deepEqual({ os, architecture }, { os: 'linux', architecture: hostPlatform().architecture });
});
