import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fittingPlatforms, formatPlatform, isSamePlatform, parsePlatform } from './platforms.ts';

const host = { os: 'linux', architecture: 'amd64' };
const parse = (text: string) => parsePlatform(text, host);

for (const [text, expected] of [
  ['linux', 'linux/amd64'],
  ['arm64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/aarch64', 'linux/arm64'],
  ['linux/x86_64', 'linux/amd64'],
  ['linux/amd64/v1', 'linux/amd64'],
  ['linux/amd64/v3', 'linux/amd64/v3'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/6', 'linux/arm/v6'],
  ['armhf', 'linux/arm/v7'],
  ['armel', 'linux/arm/v6'],
  ['i386', 'linux/386'],
  ['LINUX/S390X', 'linux/s390x'],
] as const) {
  test(`parsePlatform() reads ${text}`, () => assert.equal(formatPlatform(parse(text)), expected));
}

for (const [text, message] of [
  ['a/b/c/d', /"a\/b\/c\/d": cannot parse platform specifier: invalid argument/],
  ['nosuch', /"nosuch": unknown operating system or architecture/],
  ['linux/*', /wildcards not yet supported/],
  ['li nux/amd64', /"li nux" is an invalid OS component of "li nux\/amd64"/],
  ['linux/am d64', /"am d64" is an invalid component of "linux\/am d64"/],
  ['', /is an invalid OS component/],
] as const) {
  test(`parsePlatform() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parse(text), { kind: 'invalid-parameter', message });
  });
}

/** By containerd's platforms.Only(). */
for (const [wanted, entries, expected] of [
  ['linux/amd64', 'amd64 386 arm64', 'amd64 386'],
  ['linux/amd64/v3', 'amd64 amd64/v2 amd64/v4 amd64/v3 386', 'amd64/v3 amd64/v2 amd64 386'],
  ['linux/arm/v7', 'arm/v5 arm/v8 arm/v7 arm/v6', 'arm/v7 arm/v6 arm/v5'],
  ['linux/arm/v6', 'arm/v7 arm/v6', 'arm/v6'],
  ['linux/arm64', 'arm/v7 arm64/v8 arm/v6', 'arm64/v8 arm/v7 arm/v6'],
  ['linux/s390x', 'amd64 s390x', 's390x'],
  ['linux/riscv64', 'amd64', ''],
] as const) {
  test(`fittingPlatforms() orders for ${wanted}`, () => {
    const given = entries.split(' ').map((name) => {
      const [architecture = '', variant] = name.split('/');
      return { name, platform: { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) } };
    });
    const found = fittingPlatforms(given, parse(wanted)).map(({ name }) => name);
    assert.equal(found.join(' '), expected);
  });
}

test('isSamePlatform() takes no other variant', () => {
  assert.ok(isSamePlatform({ os: 'linux', architecture: 'arm64', variant: 'v8' }, parse('arm64')));
  assert.ok(!isSamePlatform({ os: 'linux', architecture: 'amd64', variant: 'v3' }, parse('amd64')));
  assert.ok(!isSamePlatform({ os: 'linux', architecture: '386' }, parse('amd64')));
});
