import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  familiarName,
  familiarReference,
  formatReference,
  parseAnyReference,
  parseReference,
  withDefaultTag,
  withTag,
} from './reference.ts';

const hex = 'a'.repeat(64);
const upper = (name: string) => `invalid reference format: repository name (${name}) must be lowercase`;
const malformed = 'invalid reference format';

// text, canonical form with the default tag, familiar form
const good: [string, string, string][] = [
  ['busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
  ['library/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['docker.io/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['index.docker.io/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['index.docker.io/team/app', 'docker.io/team/app:latest', 'team/app:latest'],
  ['team/app:v1', 'docker.io/team/app:v1', 'team/app:v1'],
  ['docker.io/library/a/b', 'docker.io/library/a/b:latest', 'library/a/b:latest'],
  ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
  ['localhost:5000/app:1', 'localhost:5000/app:1', 'localhost:5000/app:1'],
  ['example.org/app', 'example.org/app:latest', 'example.org/app:latest'],
  ['Example/app', 'Example/app:latest', 'Example/app:latest'],
  ['[::1]:5000/app', '[::1]:5000/app:latest', '[::1]:5000/app:latest'],
  ['127.0.0.1:5000/a/b/c:t', '127.0.0.1:5000/a/b/c:t', '127.0.0.1:5000/a/b/c:t'],
  [`busybox@sha256:${hex}`, `docker.io/library/busybox@sha256:${hex}`, `busybox@sha256:${hex}`],
  [`busybox:1@sha256:${hex}`, `docker.io/library/busybox:1@sha256:${hex}`, `busybox:1@sha256:${hex}`],
  ['a__b/c--d.e_f', 'docker.io/a__b/c--d.e_f:latest', 'a__b/c--d.e_f:latest'],
  [hex.slice(1), `docker.io/library/${hex.slice(1)}:latest`, `${hex.slice(1)}:latest`],
  [`a:${'t'.repeat(128)}`, `docker.io/library/a:${'t'.repeat(128)}`, `a:${'t'.repeat(128)}`],
  [`x.io/${'a'.repeat(255)}`, `x.io/${'a'.repeat(255)}:latest`, `x.io/${'a'.repeat(255)}:latest`],
];

const bad: [string, string][] = [
  ['', malformed],
  ['Foo', upper('library/Foo')],
  ['team/Foo:1', upper('team/Foo')],
  ['example.org/Foo', upper('Foo')],
  [hex, `invalid repository name (${hex}), cannot specify 64-byte hexadecimal strings`],
  ['a:', malformed],
  ['a:b:c', malformed],
  ['a//b', malformed],
  ['-a', malformed],
  ['a-', malformed],
  ['a..b', malformed],
  ['a___b', malformed],
  ['a b', malformed],
  ['a\n', malformed],
  ['a:.tag', malformed],
  [`a:${'t'.repeat(129)}`, malformed],
  ['a@sha256:abc', malformed],
  [`a@sha256:${'a'.repeat(63)}`, 'invalid checksum digest length'],
  [`a@md5:${'a'.repeat(32)}`, 'unsupported digest algorithm'],
  [`x.io/${'a'.repeat(256)}`, 'repository name must not be more than 255 characters'],
  ['http://example.org/app', malformed],
  ['../etc/passwd', malformed],
];

for (const [text, canonical, familiar] of good) {
  test(`parseReference() reads ${text.slice(0, 60)}`, () => {
    const reference = withDefaultTag(parseReference(text));
    assert.equal(formatReference(reference), canonical);
    assert.equal(familiarReference(reference), familiar);
    assert.deepEqual(parseReference(familiarReference(reference)), reference);
  });
}

for (const [text, message] of bad) {
  test(`parseReference() refuses ${JSON.stringify(text.slice(0, 60))}`, () => {
    assert.throws(() => parseReference(text), { kind: 'invalid-parameter', message });
  });
}

test('parseAnyReference() tells ids from references', () => {
  assert.deepEqual(parseAnyReference(hex), { kind: 'digest', digest: `sha256:${hex}` });
  assert.deepEqual(parseAnyReference(`sha256:${hex}`), { kind: 'digest', digest: `sha256:${hex}` });
  assert.equal(parseAnyReference('sha256:abc').kind, 'named');
});

test('withTag() and familiarName() follow the grammar', () => {
  const named = parseReference('busybox');
  assert.equal(withTag(named, 'v1.0_x-y').tag, 'v1.0_x-y');
  for (const bad of ['a/b', '', '-a', 'a'.repeat(129)])
    assert.throws(() => withTag(named, bad), /invalid tag format/);
  assert.equal(familiarName(parseReference('busybox:1')), 'busybox');
});
