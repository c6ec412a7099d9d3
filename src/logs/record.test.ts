import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordParser } from './record.ts';

const both = { stdout: true, stderr: true };
const show = (text: string, filter = {}): [string, string, string][] =>
  new RecordParser({ ...both, ...filter })
    .parse(Buffer.from(text))
    .map(({ stream, timeNs, data }) => [stream, String(timeNs), data.toString()]);

test('RecordParser.parse() reads full lines with their newline and parts without', () => {
  const text =
    '2026-11-23T21:34:03.000000001+00:00 stdout F one two\n' +
    '2026-11-23T21:34:03.123456789Z stderr P a part\n' +
    '2026-11-23T22:34:04.5+01:00 stderr F \n';
  assert.deepEqual(show(text), [
    ['stdout', '1795469643000000001', 'one two\n'],
    ['stderr', '1795469643123456789', 'a part'],
    ['stderr', '1795469644500000000', '\n'],
  ]);
});

test('RecordParser.parse() filters by stream and time, both ends included', () => {
  const text = [1, 2, 3, 4]
    .map((n) => `2026-11-23T21:34:0${n}Z ${n % 2 === 0 ? 'stdout' : 'stderr'} F ${n}\n`)
    .join('');
  const at = (n: number) => 1795469640000000000n + BigInt(n) * 1_000_000_000n;
  const data = (filter: object) => show(text, filter).map(([, , line]) => line.trim());
  assert.deepEqual(data({ stderr: false }), ['2', '4']);
  assert.deepEqual(data({ stdout: false }), ['1', '3']);
  assert.deepEqual(data({ sinceNs: at(2), untilNs: at(3) }), ['2', '3']);
  const parser = new RecordParser({ ...both, untilNs: at(3) });
  parser.parse(Buffer.from(text));
  assert.equal(parser.pastUntil, true);
});

test('RecordParser.parse() keeps binary data and leaves out what is no record', () => {
  const data = Buffer.from([0, 255, 0x20, 13, 10]);
  const bytes = Buffer.concat([
    Buffer.from('garbage\n\nshort stdout F x\n2026-11-23T21:34:03Z stdout F '),
    data,
    Buffer.from('2026-11-23T21:34:03Z stdout X no\n'),
  ]);
  const entries = new RecordParser(both).parse(bytes);
  assert.deepEqual(
    entries.map((entry) => entry.data),
    [data],
  );
});
