import assert from 'node:assert/strict';
import { test } from 'node:test';
import { indentJson } from './json-indent.ts';
import { natural } from './natural.ts';
import { portText } from './ports.ts';
import { tabulate } from './tabwriter.ts';
import { binarySize, ellipsis, goTime, humanDuration, humanSize, shortId } from './units.ts';

test('tabulate() makes columns at least ten wide and leaves the last one alone', () => {
  assert.equal(
    tabulate('ID\tNAME\tX\nabcdefghijkl\tb\tlong text\n'),
    'ID             NAME      X\nabcdefghijkl   b         long text\n',
  );
});

test('tabulate() ends a column where a line has no such cell', () => {
  assert.equal(tabulate('a\tb\nplain\nlonglonglong\tc\n'), 'a         b\nplain\nlonglonglong   c\n');
});

test('humanSize() has four digits, or as many as asked for', () => {
  assert.deepEqual(
    [0, 999, 1000, 1_984_321, 1e9].map((n) => humanSize(n)),
    ['0B', '999B', '1kB', '1.984MB', '1GB'],
  );
  assert.equal(humanSize(1_984_321, 3), '1.98MB');
  assert.equal(binarySize(25_275_596_800), '23.54GiB');
});

test('humanDuration() says lengths of time as docker does', () => {
  const said = [
    0,
    1,
    59,
    60,
    119,
    120,
    3600,
    7200,
    47 * 3600,
    48 * 3600,
    14 * 86400,
    60 * 86400,
    800 * 86400,
  ].map((s) => humanDuration(s * 1000));
  assert.deepEqual(said, [
    'Less than a second',
    '1 second',
    '59 seconds',
    'About a minute',
    'About a minute',
    '2 minutes',
    'About an hour',
    '2 hours',
    '47 hours',
    '2 days',
    '2 weeks',
    '2 months',
    '2 years',
  ]);
});

test('portText() joins neighbours and keeps translated ports apart', () => {
  const port = (PrivatePort: number, PublicPort?: number, IP?: string) => ({
    PrivatePort,
    Type: 'tcp',
    ...(PublicPort && { PublicPort }),
    ...(IP && { IP }),
  });
  assert.equal(
    portText([
      port(81, 81, '0.0.0.0'),
      port(80, 80, '0.0.0.0'),
      port(90, 8090, '::'),
      port(7000),
      port(7001),
    ]),
    '0.0.0.0:80-81->80-81/tcp, 7000-7001/tcp, [::]:8090->90/tcp',
  );
});

test('indentJson() changes blanks and nothing else', () => {
  assert.equal(
    indentJson('[{"a":1.50,"b":{},"c":[],"d":"x{,:\\"y"}]'),
    '[\n    {\n        "a": 1.50,\n        "b": {},\n        "c": [],\n        "d": "x{,:\\"y"\n    }\n]',
  );
});

test('natural() orders runs of digits by value', () => {
  assert.deepEqual(['a10', 'a2', '[::]:1', '0.0.0.0:1'].toSorted(natural), [
    '0.0.0.0:1',
    '[::]:1',
    'a2',
    'a10',
  ]);
});

test('ellipsis(), shortId() and goTime() shorten and spell', () => {
  assert.equal(ellipsis('abcdef', 4), 'abc…');
  assert.equal(shortId(`sha256:${'ab'.repeat(32)}`), 'abababababab');
  assert.match(goTime(0), /^19(70-01-01|69-12-31) \d\d:\d\d:00 [+-]\d{4} \S+$/);
});
