/** What `coracle build` shows while it builds, and what it answers instead of building. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { baseImage } from '../conformance/cli/run-case.ts';
import { BuildBench, program } from '../fixtures/build-cli.ts';

let bench: BuildBench;

before(async () => {
  bench = await BuildBench.start();
});

after(() => bench.dispose());

describe('what is shown', () => {
  test('plain: steps, their output, what was known, and where an error stands', async () => {
    const dockerfile = `FROM ${baseImage}
RUN echo shown-plain
RUN echo to-stderr >&2; \\
  exit 3
RUN never
`;
    const failed = await bench.build(dockerfile, ['--progress', 'plain']);
    assert.equal(failed.exitCode, 3);
    assert.match(
      failed.stderr,
      /#\d+ \[2\/4\] RUN echo shown-plain\n#\d+ \d+\.\d{3} shown-plain\n#\d+ DONE \d+\.\ds\n/,
    );
    assert.match(
      failed.stderr,
      /------\n > \[3\/4\] RUN echo to-stderr [^\n]*:\n\d+\.\d{3} to-stderr\n------\n/,
    );
    const excerpt = `Dockerfile:3
--------------------
   2 |     RUN echo shown-plain
   3 | >>> RUN echo to-stderr >&2; \\
   4 | >>>   exit 3
   5 |     RUN never
--------------------
`;
    assert.ok(failed.stderr.includes(excerpt), failed.stderr);
    assert.match(
      failed.stderr,
      /\nERROR: failed to solve: process "\/bin\/sh -c echo [^"]*" did not complete successfully: exit code: 3\n$/,
    );
    const parse = await bench.build(`FROM ${baseImage}\nRUNN x\n`, []);
    assert.match(parse.stderr, /Dockerfile:2\n-+\n {3}1 \| {5}FROM .*\n {3}2 \| >>> RUNN x\n/);
    assert.match(parse.stderr, /dockerfile parse error line 2: unknown instruction: RUNN\n/);
    const again = await bench.build(`FROM ${baseImage}\nRUN echo shown-plain\n`, [], {
      BUILDKIT_PROGRESS: 'plain',
    });
    assert.match(again.stderr, /#\d+ \[2\/2\] RUN echo shown-plain\n#\d+ CACHED\n/);
  });

  test('rawjson: one SolveStatus a line', async () => {
    const dockerfile = `FROM ${baseImage}\nRUN echo shown-raw\n`;
    const { stderr, exitCode } = await bench.build(dockerfile, ['--progress=rawjson']);
    assert.equal(exitCode, 0);
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as SolveLine);
    const vertexes = lines.flatMap((line) => line.vertexes ?? []);
    const step = vertexes.find(({ name }) => name === '[2/2] RUN echo shown-raw');
    assert.match(step?.digest ?? '', /^sha256:[0-9a-f]{64}$/);
    const log = lines.flatMap(({ logs }) => logs ?? []).find(({ vertex }) => vertex === step?.digest);
    assert.equal(Buffer.from(log?.data ?? '', 'base64').toString(), 'shown-raw\n');
    const ended = vertexes.findLast(({ digest }) => digest === step?.digest);
    assert.ok(Date.parse(ended?.completed ?? '') >= Date.parse(ended?.started ?? ''));
  });

  test('tty: steps drawn in place, on a terminal alone', async () => {
    const refused = await bench.build('FROM scratch\nLABEL a=b\n', ['--progress=tty']);
    assert.match(refused.stderr, /failed to get console/);
    writeFileSync(
      join(bench.emptyContext, 'Dockerfile'),
      `FROM ${baseImage}\nRUN echo on-a-terminal; sleep 0.4\n`,
    );
    const command = `${process.execPath} ${program} build --progress=tty ${bench.emptyContext}`;
    const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
      env: {
        PATH: process.env['PATH'],
        CORACLE_HOST: bench.daemon.host,
        HOME: '/nonexistent',
        TERM: 'xterm',
      },
      encoding: 'utf8',
    });
    assert.match(stdout, /\[\+\] Building \d+\.\ds \(\d+\/\d+\)/);
    assert.match(stdout, / => => # on-a-terminal/);
    assert.match(stdout, /FINISHED/);
    assert.match(stdout, / => \[2\/2\] RUN echo on-a-terminal; sleep 0\.4 +\d\.\ds/);
  });
});

describe('questions', () => {
  const dockerfile = `# the version of it
ARG version=1
FROM ${baseImage} AS first
# token of nobody
ARG token
RUN --mount=type=secret,id=key,required=true --mount=type=ssh true
# last puts it together
FROM first as last
CMD echo $wrong
COPY $wrong /x
`;

  test('--check: what is found, where, and an exit code', async () => {
    const { stdout, exitCode } = await bench.build(dockerfile, ['--check']);
    assert.equal(exitCode, 1);
    const text = stdout.toString();
    assert.match(text, /^Check complete, 4 warnings have been found!\n/);
    const page = 'https://docs.docker.com/go/dockerfile/rule/from-as-casing/';
    assert.ok(
      text.includes(`
WARNING: FromAsCasing - ${page}
'as' and 'FROM' keywords' casing do not match
Dockerfile:8
--------------------
   6 |     RUN --mount=type=secret,id=key,required=true --mount=type=ssh true
   7 |     # last puts it together
   8 | >>> FROM first as last
   9 |     CMD echo $wrong
  10 |     COPY $wrong /x
--------------------
`),
      text,
    );
    const clean = await bench.build(`FROM ${baseImage}\nRUN true\n`, ['--check']);
    assert.equal(clean.exitCode, 0);
    assert.equal(clean.stdout.toString(), 'Check complete, no warnings found.\n');
    const broken = await bench.build(`FROM ${baseImage}\nRUNN true\n`, ['--check']);
    assert.equal(broken.exitCode, 1);
    assert.match(broken.stderr, /ERROR: .*unknown instruction: RUNN\nDockerfile:2\n/);
    const json = await bench.build(dockerfile, ['--call=check,format=json']);
    const { warnings } = JSON.parse(json.stdout.toString()) as { warnings: { ruleName: string }[] };
    assert.deepEqual(
      warnings.map(({ ruleName }) => ruleName),
      ['SecretsUsedInArgOrEnv', 'FromAsCasing', 'JSONArgsRecommended', 'UndefinedVar'],
    );
  });

  test('warnings of a build, and check=error', async () => {
    const shown = await bench.build(`FROM ${baseImage} as x\nMAINTAINER me\n`, []);
    assert.equal(shown.exitCode, 0);
    assert.ok(
      shown.stderr.endsWith(`
 2 warnings found (use docker --debug to expand):
 - FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)
 - MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)
`),
      shown.stderr,
    );
    const error = await bench.build(`# check=error=true\nFROM ${baseImage}\nMAINTAINER me\n`, []);
    assert.equal(error.exitCode, 1);
    assert.match(error.stderr, /lint violation found for rules: MaintainerDeprecated/);
  });

  test('--call=outline and --call=targets', async () => {
    const outline = await bench.build(dockerfile, ['--call=outline', '--build-arg', 'token=x']);
    assert.equal(
      outline.stdout.toString(),
      `TARGET:      last
DESCRIPTION: puts it together

BUILD ARG   VALUE   DESCRIPTION
token       x       of nobody

SECRET   REQUIRED
key      true

SSH       REQUIRED
default   

`,
    );
    const targets = await bench.build(dockerfile, ['--call', 'targets']);
    assert.equal(
      targets.stdout.toString(),
      'TARGET         DESCRIPTION\nfirst          \nlast (default) puts it together\n',
    );
    const unknown = await bench.build(dockerfile, ['--call=nothing']);
    assert.match(unknown.stderr, /unknown call method "nothing"/);
  });
});

interface SolveLine {
  vertexes?: { digest: string; name: string; started?: string; completed?: string }[];
  logs?: { vertex: string; data: string }[];
}
