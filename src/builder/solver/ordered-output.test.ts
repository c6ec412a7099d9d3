import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrderedOutput } from './ordered-output.ts';

test('OrderedOutput shows the first step as it comes, the others when it is their turn', () => {
  const shown: string[] = [];
  const output = new OrderedOutput((text) => shown.push(text));
  const [one, two, three] = [output.open(), output.open(), output.open()];
  two.say('b1');
  one.say('a1');
  assert.deepEqual(shown, ['a1']);
  three.say('c1');
  three.close();
  one.close();
  assert.deepEqual(shown, ['a1', 'b1']);
  two.say('b2');
  two.close();
  assert.deepEqual(shown, ['a1', 'b1', 'b2', 'c1']);
});

test('OrderedOutput.reveal() shows what waits when nothing goes on', () => {
  const shown: string[] = [];
  const output = new OrderedOutput((text) => shown.push(text));
  const [, two] = [output.open(), output.open()];
  two.say('b');
  assert.deepEqual(shown, []);
  output.reveal();
  assert.deepEqual(shown, ['b']);
});
