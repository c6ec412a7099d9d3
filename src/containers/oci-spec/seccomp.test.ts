import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import type { SeccompPolicy } from '../../spec/index.ts';
import { defaultCapabilities, knownCapabilities } from './capabilities.ts';
import { defaultSeccompPolicy, loadSeccompProfile, type SeccompTarget } from './seccomp.ts';

const target = (changes: Partial<SeccompTarget> = {}): SeccompTarget => ({
  capabilities: defaultCapabilities,
  architecture: 'amd64',
  kernelRelease: '6.1.0-13-amd64',
  ...changes,
});

/** One line per call and condition, so that two policies compare whatever way they are written. */
function effective(policy: SeccompPolicy | undefined): string[] {
  assert.ok(policy);
  const lines = new Set<string>();
  for (const rule of policy.syscalls ?? [])
    for (const name of rule.names) {
      const when = (rule.args ?? []).map(
        ({ index, value, valueTwo = 0, op }) => `${index} ${op} ${value} ${valueTwo}`,
      );
      lines.add([name, rule.action, rule.errnoRet ?? '', ...when].join(' | '));
    }
  return [
    `${policy.defaultAction} ${policy.defaultErrnoRet}`,
    `${(policy.architectures ?? []).join()}`,
    ...[...lines].toSorted(),
  ];
}

const reference = resolve(import.meta.dirname, '../../../../shared/reference/seccomp-default.json');
const skip = existsSync(reference) ? false : "Docker's policy (shared/reference) is not beside the checkout";

const capabilitySets: [string, readonly string[]][] = [
  ['default', defaultCapabilities],
  ['no', []],
  ['all', knownCapabilities],
  ...knownCapabilities.map((name): [string, readonly string[]] => [name, [name]]),
];
for (const architecture of ['amd64', 'arm64', 's390x', 'ppc64le', 'riscv64', '386', 'arm', 'loong64'])
  test(`defaultSeccompPolicy() allows on ${architecture} what Docker's policy allows`, { skip }, () => {
    const profile = readFileSync(reference, 'utf8');
    for (const [, capabilities] of capabilitySets)
      for (const kernelRelease of ['4.7.0', '4.8.0', '6.18.44']) {
        const asked = target({ architecture, capabilities, kernelRelease });
        assert.deepEqual(
          effective(defaultSeccompPolicy(asked)),
          effective(loadSeccompProfile(profile, asked)),
        );
      }
  });

test('defaultSeccompPolicy() gives equal capabilities one and the same object', () => {
  assert.equal(defaultSeccompPolicy(target()), defaultSeccompPolicy(target()));
  assert.notEqual(defaultSeccompPolicy(target()), defaultSeccompPolicy(target({ capabilities: [] })));
});

test('defaultSeccompPolicy() opens namespaces to CAP_SYS_ADMIN alone', () => {
  const without = effective(defaultSeccompPolicy(target()));
  const withAdmin = effective(defaultSeccompPolicy(target({ capabilities: ['CAP_SYS_ADMIN'] })));
  assert.ok(!without.includes('unshare | SCMP_ACT_ALLOW | '));
  assert.ok(without.includes('clone3 | SCMP_ACT_ERRNO | 38'));
  assert.ok(withAdmin.includes('unshare | SCMP_ACT_ALLOW | '));
  assert.ok(withAdmin.includes('clone3 | SCMP_ACT_ALLOW | '));
});

const rule = { names: ['read'], action: 'SCMP_ACT_ALLOW' };
const profile = (syscalls: unknown[], rest: object = {}): string =>
  JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', syscalls, ...rest });

const conditions: [string, object, Partial<SeccompTarget>, boolean][] = [
  ['no condition', {}, {}, true],
  ['an included capability that is there', { includes: { caps: ['CAP_CHOWN'] } }, {}, true],
  ['one of two capabilities', { includes: { caps: ['CAP_CHOWN', 'CAP_BPF'] } }, {}, false],
  ['an excluded capability', { excludes: { caps: ['CAP_BPF', 'CAP_CHOWN'] } }, {}, false],
  ['an excluded capability that is not there', { excludes: { caps: ['CAP_BPF'] } }, {}, true],
  ['another architecture', { includes: { arches: ['arm64'] } }, {}, false],
  [
    'an architecture by its name in profiles',
    { includes: { arches: ['x86'] } },
    { architecture: '386' },
    true,
  ],
  ['an excluded architecture', { excludes: { arches: ['amd64'] } }, {}, false],
  ['a kernel that is new enough', { includes: { minKernel: '6.1' } }, {}, true],
  ['a kernel that is too old', { includes: { minKernel: '6.2' } }, {}, false],
  ['a kernel of a smaller major version', { includes: { minKernel: '5.19' } }, {}, true],
  ['a kernel excluded from a version on', { excludes: { minKernel: '4.8' } }, {}, false],
];
for (const [what, condition, changes, kept] of conditions)
  test(`loadSeccompProfile() ${kept ? 'keeps' : 'drops'} a rule with ${what}`, () => {
    const policy = loadSeccompProfile(profile([{ ...rule, ...condition, comment: 'c' }]), target(changes));
    assert.deepEqual(policy?.syscalls, kept ? [rule] : []);
  });

test('loadSeccompProfile() takes the old form, arguments and flags', () => {
  const args = [{ index: 0, value: 1, valueTwo: 2, op: 'SCMP_CMP_MASKED_EQ' }];
  assert.deepEqual(
    loadSeccompProfile(
      profile(
        [
          { name: 'write', action: 'SCMP_ACT_ALLOW', args: null },
          { ...rule, args },
        ],
        {
          architectures: ['SCMP_ARCH_X86_64'],
          flags: ['SECCOMP_FILTER_FLAG_LOG'],
          defaultErrnoRet: 38,
        },
      ),
      target(),
    ),
    {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      flags: ['SECCOMP_FILTER_FLAG_LOG'],
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [
        { names: ['write'], action: 'SCMP_ACT_ALLOW' },
        { ...rule, args },
      ],
    },
  );
});

test('loadSeccompProfile() takes an empty profile for none', () => {
  assert.equal(loadSeccompProfile('{}', target()), undefined);
});

const broken: [string, string, RegExp][] = [
  ['no JSON', 'no', /^Decoding seccomp profile failed: /],
  ['a list', '[]', /not a JSON object/],
  ['both name and names', profile([{ ...rule, name: 'write' }]), /^both 'name' and 'names'/],
  [
    'both architectures and archMap',
    profile([rule], { architectures: ['a'], archMap: [{ architecture: 'b' }] }),
    /^both 'architectures' and 'archMap'/,
  ],
  ['a kernel version without minor', profile([{ ...rule, includes: { minKernel: '5' } }]), /invalid kernel/],
];
for (const [what, text, message] of broken)
  test(`loadSeccompProfile() refuses ${what}`, () => {
    assert.throws(() => loadSeccompProfile(text, target()), { kind: 'invalid-parameter', message });
  });
