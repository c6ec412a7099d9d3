import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bool, int, list, text } from './flags.ts';
import { HelpRequested, parseFlags } from './parse.ts';
import { flagUsages } from './usage.ts';

const flags = [
  bool('interactive', 'keep', { short: 'i' }),
  bool('tty', 'terminal', { short: 't' }),
  bool('proxy', 'forward', { initial: true }),
  text('name', 'a name'),
  list('env', 'variables', { short: 'e' }),
  list('publish', 'ports', { short: 'p' }),
  int('count', 'how many', { short: 'n', initial: -1 }),
];
const parse = (argv: string[], interspersed = false) => parseFlags(flags, argv, interspersed);

test('parseFlags() takes grouped, attached and separate values', () => {
  const parsed = parse([
    '-it',
    '-e',
    'A=1',
    '-eB=2',
    '--env=C=3',
    '-p80:80',
    '-n=5',
    '--name',
    'x',
    'image',
    '-it',
  ]);
  assert.equal(parsed.bool('interactive'), true);
  assert.equal(parsed.bool('tty'), true);
  assert.deepEqual(parsed.list('env'), ['A=1', 'B=2', 'C=3']);
  assert.deepEqual(parsed.list('publish'), ['80:80']);
  assert.equal(parsed.int('count'), 5);
  assert.equal(parsed.text('name'), 'x');
  assert.deepEqual(parsed.args, ['image', '-it']);
});

test('parseFlags() takes false for a switch, and says which flags were given', () => {
  const parsed = parse(['--proxy=false', 'x']);
  assert.equal(parsed.bool('proxy'), false);
  assert.equal(parsed.changed('proxy'), true);
  assert.equal(parsed.changed('tty'), false);
});

test('parseFlags() goes on behind arguments only when interspersed, and never behind --', () => {
  assert.deepEqual(parse(['a', '-t'], true).args, ['a']);
  assert.deepEqual(parse(['a', '--', '-t'], true).args, ['a', '-t']);
  assert.deepEqual(parse(['-', 'b']).args, ['-', 'b']);
});

for (const [argv, message] of [
  [['--foo'], 'unknown flag: --foo'],
  [['-itx'], "unknown shorthand flag: 'x' in -x"],
  [['--name'], 'flag needs an argument: --name'],
  [['-ie'], "flag needs an argument: 'e' in -e"],
  [['--=x'], 'bad flag syntax: --=x'],
  [['-n', 'x'], 'invalid argument "x" for "-n, --count" flag: strconv.ParseInt: parsing "x": invalid syntax'],
  [
    ['--tty=maybe'],
    'invalid argument "maybe" for "-t, --tty" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
  ],
] as const) {
  test(`parseFlags() refuses ${argv.join(' ')} as pflag does`, () => {
    assert.throws(() => parse([...argv]), { message });
  });
}

test('parseFlags() asks for help', () => {
  assert.throws(() => parse(['--help']), HelpRequested);
  assert.throws(() => parse(['-h']), HelpRequested);
});

test('flagUsages() lines names up and wraps what they mean', () => {
  const usage = flagUsages(
    [
      text('name', 'one two three four five six seven eight nine ten eleven twelve'),
      bool('all', 'everything', { short: 'a' }),
    ],
    60,
  );
  assert.deepEqual(usage.split('\n'), [
    '  -a, --all           everything',
    '      --name string   one two three four five six',
    '                      seven eight nine ten eleven twelve',
  ]);
});
