import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IgnoreRules, parseIgnoreFile } from '../../../archive/index.ts';
import { readDockerfile } from '../instructions/read-dockerfile.ts';
import { lintDockerfile } from './lint.ts';
import { rules } from './rules.ts';

/** Names and lines of what is found, as `Name 3`; `details` adds the messages. */
function lint(
  text: string,
  options: {
    ignore?: string;
    env?: Record<string, string>;
    foreignBase?: { name: string; expected: string; actual: string };
    details?: boolean;
  } = {},
): string[] {
  const file = readDockerfile(text);
  const platformArgs = new Map([
    ['TARGETPLATFORM', 'linux/amd64'],
    ['TARGETARCH', 'amd64'],
  ]);
  const metaArgs = new Map(
    file.metaArgs.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const])),
  );
  const ends = new Map<number, { variables: ReadonlyMap<string, string>; hasShell: boolean }>();
  const { warnings } = lintDockerfile({
    file,
    needed: new Set(file.stages.keys()),
    platformArgs,
    metaArgs,
    surroundings: (index) => {
      const based = file.stages.findIndex(({ name }) => name !== '' && name === file.stages[index]?.base);
      return {
        escape: file.escape,
        variables: ends.get(based)?.variables ?? new Map(Object.entries({ PATH: '/bin', ...options.env })),
        hasShell: ends.get(based)?.hasShell ?? false,
        ...(options.foreignBase === undefined ? {} : { foreignBase: options.foreignBase }),
        given: new Map([...platformArgs, ...metaArgs]),
        ignored: new IgnoreRules(parseIgnoreFile(options.ignore ?? '')),
        ended: (variables, hasShell) => ends.set(index, { variables, hasShell }),
      };
    },
  });
  return warnings.map(
    ({ rule, message, range }) =>
      `${rule.name} ${range.line}${options.details === true ? ` ${message}` : ''}`,
  );
}

/** Each rule: files that break it with what is found, and files that do not. */
const table: [rule: string, text: string, found: string[]][] = [
  ['StageNameCasing', 'FROM a AS Build\n', ['StageNameCasing 1']],
  ['StageNameCasing', 'FROM a AS build\n', []],
  ['FromAsCasing', 'FROM a as b\n', ['FromAsCasing 1']],
  ['FromAsCasing', 'from a as b\n', []],
  ['FromAsCasing', 'FROM a AS b\n', []],
  ['NoEmptyContinuation', 'FROM a\nRUN b \\\n\n  c\n', ['NoEmptyContinuation 4']],
  ['NoEmptyContinuation', 'FROM a\nRUN b \\\n# comment\n  c\n', []],
  ['ConsistentInstructionCasing', 'FROM a\nRun b\n', ['ConsistentInstructionCasing 2']],
  ['ConsistentInstructionCasing', 'FROM a\nRUN a\nrun b\n', ['ConsistentInstructionCasing 3']],
  ['ConsistentInstructionCasing', 'from a\nrun a\nRUN b\n', ['ConsistentInstructionCasing 3']],
  ['ConsistentInstructionCasing', 'from a\nrun b\n', []],
  ['DuplicateStageName', 'FROM a AS b\nFROM a AS b\n', ['DuplicateStageName 2']],
  ['DuplicateStageName', 'FROM a AS b\nFROM a AS c\n', []],
  [
    'ReservedStageName',
    'FROM a AS scratch\nFROM a AS context\n',
    ['ReservedStageName 1', 'ReservedStageName 2'],
  ],
  [
    'JSONArgsRecommended',
    'FROM a\nCMD b c\nENTRYPOINT d\n',
    ['JSONArgsRecommended 2', 'JSONArgsRecommended 3'],
  ],
  ['JSONArgsRecommended', 'FROM a\nSHELL ["x"]\nCMD b c\n', []],
  ['JSONArgsRecommended', 'FROM a\nCMD ["b"]\n', []],
  ['MaintainerDeprecated', 'FROM a\nMAINTAINER me\n', ['MaintainerDeprecated 2']],
  ['UndefinedArgInFrom', 'ARG version=1\nFROM a:${version}\nFROM b${vresion}\n', ['UndefinedArgInFrom 3']],
  ['UndefinedArgInFrom', 'FROM --platform=$TARGETARCHH a\n', ['UndefinedArgInFrom 1']],
  ['UndefinedArgInFrom', 'ARG v\nFROM a$v\n', []],
  ['WorkdirRelativePath', 'FROM a\nWORKDIR b\nWORKDIR c\n', ['WorkdirRelativePath 2']],
  ['WorkdirRelativePath', 'FROM a\nWORKDIR /b\nWORKDIR c\n', []],
  ['UndefinedVar', 'FROM a\nCOPY $what .\n', ['UndefinedVar 2']],
  ['UndefinedVar', 'FROM a\nENV PATH=$PAHT:/x\n', ['UndefinedVar 2']],
  ['UndefinedVar', 'FROM a\nARG what\nCOPY $what .\n', []],
  ['UndefinedVar', 'FROM a\nENV what=b\nCOPY $what $PATH\n', []],
  ['UndefinedVar', 'FROM a AS b\nENV what=b\nFROM b\nCOPY $what .\n', []],
  ['UndefinedVar', 'FROM a\nRUN echo $what\n', []],
  [
    'MultipleInstructionsDisallowed',
    'FROM a\nCMD ["a"]\nCMD ["b"]\nENTRYPOINT ["c"]\nENTRYPOINT ["d"]\nHEALTHCHECK NONE\nHEALTHCHECK NONE\nFROM a\nCMD ["e"]\n',
    [
      'MultipleInstructionsDisallowed 2',
      'MultipleInstructionsDisallowed 4',
      'MultipleInstructionsDisallowed 6',
    ],
  ],
  [
    'LegacyKeyValueFormat',
    'FROM a\nENV b c\nLABEL d e\n',
    ['LegacyKeyValueFormat 2', 'LegacyKeyValueFormat 3'],
  ],
  ['LegacyKeyValueFormat', 'FROM a\nENV b=c\n', []],
  ['RedundantTargetPlatform', 'FROM --platform=$TARGETPLATFORM a\n', ['RedundantTargetPlatform 1']],
  [
    'SecretsUsedInArgOrEnv',
    'FROM a\nARG API_TOKEN\nENV db_password=x\n',
    ['SecretsUsedInArgOrEnv 2', 'SecretsUsedInArgOrEnv 3'],
  ],
  ['SecretsUsedInArgOrEnv', 'FROM a\nARG PUBLIC_KEY\nENV TOKEN_FILE=x tokens=y\n', []],
  ['InvalidDefaultArgInFrom', 'ARG tag\nFROM a:${tag}\n', ['InvalidDefaultArgInFrom 2']],
  ['InvalidDefaultArgInFrom', 'ARG tag=1\nFROM a:${tag}\nFROM b${other:-x}\n', ['UndefinedArgInFrom 3']],
  [
    'FromPlatformFlagConstDisallowed',
    'FROM --platform=linux/arm64 a\n',
    ['FromPlatformFlagConstDisallowed 1'],
  ],
  ['FromPlatformFlagConstDisallowed', 'FROM --platform=linux/arm64 a AS for-arm64\n', []],
  ['ExposeProtoCasing', 'FROM a\nEXPOSE 80/TCP 81/udp\n', ['ExposeProtoCasing 2']],
  ['ExposeInvalidFormat', 'FROM a\nEXPOSE 127.0.0.1:80:80\nEXPOSE 80\n', ['ExposeInvalidFormat 2']],
  [
    'skip',
    '# check=skip=StageNameCasing,FromAsCasing\nFROM a as B\nMAINTAINER x\n',
    ['MaintainerDeprecated 3'],
  ],
  ['skip', '# check=skip=all\nFROM a as B\n', []],
  ['skip', 'FROM a\n# check=skip=JSONArgsRecommended\nCMD b\n', []],
  [
    'experimental',
    '# check=experimental=InvalidDefinitionDescription\n# no word\nARG a=b\n# c is it\nFROM $a AS c\n',
    ['InvalidDefinitionDescription 3'],
  ],
  ['experimental', '# no word\nARG a=b\nFROM $a\n', []],
];

for (const [rule, text, found] of table) {
  test(`lintDockerfile() ${rule}: ${JSON.stringify(text)}`, () => assert.deepEqual(lint(text), found));
}

test('lintDockerfile() finds sources that .dockerignore excludes', () => {
  const text = 'FROM a\nCOPY secret /x\nADD dir/file /y\nCOPY --from=b secret /z\nCOPY . /all\n';
  const ignore = 'secret\ndir\n';
  assert.deepEqual(lint(text, { ignore, details: true }), [
    'CopyIgnoredFile 2 Attempting to Copy file "secret" that is excluded by .dockerignore',
    'CopyIgnoredFile 3 Attempting to Add file "dir/file" that is excluded by .dockerignore',
  ]);
  assert.deepEqual(lint(text, { ignore: '*\n!kept\n' }), []);
});

test('lintDockerfile() finds base images of another platform', () => {
  const foreignBase = { name: 'a', expected: 'linux/amd64', actual: 'linux/arm64' };
  assert.deepEqual(lint('# line\nFROM a\n', { foreignBase }), ['InvalidBaseImagePlatform 2']);
});

test('every rule is broken by a file here', () => {
  const broken = new Set(table.flatMap(([, , found]) => found.map((line) => line.split(' ')[0])));
  const elsewhere = ['CopyIgnoredFile', 'InvalidBaseImagePlatform'];
  const names = Object.values(rules).map(({ name }) => name);
  assert.deepEqual(names.filter((name) => !broken.has(name)).toSorted(), elsewhere);
});

test('lintDockerfile() words its messages as BuildKit', () => {
  const text = 'FROM a AS Build\nCmd b\nENV PASSWORD=$PAHT\nENV a b\n';
  assert.deepEqual(lint(text, { details: true }), [
    "StageNameCasing 1 Stage name 'Build' should be lowercase",
    "ConsistentInstructionCasing 2 Command 'Cmd' should match the case of the command majority (uppercase)",
    'JSONArgsRecommended 2 JSON arguments recommended for Cmd to prevent unintended behavior related to OS signals',
    "UndefinedVar 3 Usage of undefined variable '$PAHT' (did you mean $PATH?)",
    'SecretsUsedInArgOrEnv 3 Do not use ARG or ENV instructions for sensitive data (ENV "PASSWORD")',
    'LegacyKeyValueFormat 4 "ENV key=value" should be used instead of legacy "ENV key value" format',
  ]);
});

test('lintDockerfile() refuses options that it does not know', () => {
  assert.throws(() => lint('# check=loud=true\nFROM a\n'), /invalid check option "loud"/);
  assert.throws(() => lint('# check=error=perhaps\nFROM a\n'), /parsing "perhaps": invalid syntax/);
});

test('every rule has the page that BuildKit names', () => {
  assert.equal(
    rules.jsonArgsRecommended.url,
    'https://docs.docker.com/go/dockerfile/rule/json-args-recommended/',
  );
  assert.equal(
    rules.secretsUsedInArgOrEnv.url,
    'https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/',
  );
  assert.equal(Object.keys(rules).length, 22);
});
