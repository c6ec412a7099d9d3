import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addressOfReverseName,
  answers,
  encodeName,
  readQuestion,
  recordType,
  responseCode,
  writeAnswer,
  type Question,
} from './message.ts';

/** A query as a stub resolver writes it. */
function query(name: string, type: number, edns?: number): Buffer {
  const head = Buffer.from('beef01000001000000000000', 'hex');
  const fixed = Buffer.alloc(4);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  const parts = [head, encodeName(name), fixed];
  if (edns !== undefined) {
    head.writeUInt16BE(1, 10);
    const opt = Buffer.alloc(11);
    opt.writeUInt16BE(recordType.opt, 1);
    opt.writeUInt16BE(edns, 3);
    parts.push(opt);
  }
  return Buffer.concat(parts);
}

const read = (message: Buffer): Question => {
  const question = readQuestion(message);
  assert.ok(question !== undefined);
  return question;
};

test('readQuestion() reads name, type and the size that EDNS allows', () => {
  const { head: _, ...plain } = read(query('DB.app', recordType.a));
  assert.deepEqual(plain, { id: 0xbeef, name: 'db.app', type: 1, maxUdpBytes: 512 });
  assert.equal(read(query('db', recordType.aaaa, 1232)).maxUdpBytes, 1232);
  assert.equal(read(query('', 2)).name, '');
});

test('readQuestion() refuses answers, other operations, cut messages and compressed names', () => {
  const good = query('db', recordType.a);
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] = value;
    return copy;
  };
  assert.equal(readQuestion(changed(2, 0x81)), undefined);
  assert.equal(readQuestion(changed(2, 0x28)), undefined);
  assert.equal(readQuestion(changed(5, 2)), undefined);
  assert.equal(readQuestion(changed(12, 0xc0)), undefined);
  for (let length = 0; length < good.length; length++)
    assert.equal(readQuestion(good.subarray(0, length)), undefined);
});

test('writeAnswer() points at the question, and marks what does not fit', () => {
  const question = read(query('db', recordType.a));
  const records = Array.from({ length: 40 }, (_, i) => ({
    type: recordType.a,
    data: Buffer.of(10, 0, 0, i),
  }));
  const whole = writeAnswer(question, records, { ttlSeconds: 600 });
  assert.equal(whole.readUInt16BE(6), 40);
  assert.equal(whole.readUInt16BE(2), 0x8180);
  assert.equal(whole.readUInt16BE(question.head.length), 0xc00c);
  assert.deepEqual([...whole.subarray(-4)], [10, 0, 0, 39]);
  const cut = writeAnswer(question, records, { maxBytes: 512 });
  assert.ok(cut.length <= 512 && (cut.readUInt16BE(2) & 0x0200) !== 0);
  const failed = writeAnswer(question, [], { code: responseCode.serverFailure });
  assert.equal(failed.readUInt16BE(2) & 0xf, 2);
});

test('answers() tells this question’s answer from another’s', () => {
  const question = read(query('db', recordType.a));
  assert.ok(answers(writeAnswer(question, []), question));
  assert.ok(answers(writeAnswer(read(query('DB', recordType.a)), []), question));
  assert.ok(!answers(query('db', recordType.a), question));
  assert.ok(!answers(writeAnswer(read(query('dc', recordType.a)), []), question));
  const otherId = writeAnswer(question, []);
  otherId.writeUInt16BE(1, 0);
  assert.ok(!answers(otherId, question));
});

test('addressOfReverseName() knows both families', () => {
  const nibbles = '20010db8000000000000000000000006'.split('').reverse().join('.');
  assert.equal(addressOfReverseName(`${nibbles}.ip6.arpa`), '2001:db8::6');
  assert.equal(addressOfReverseName(`${nibbles.slice(2)}.ip6.arpa`), undefined);
  assert.equal(addressOfReverseName('2.0.0.10.in-addr.arpa'), '10.0.0.2');
  assert.equal(addressOfReverseName('example.com'), undefined);
});
