import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDockerfile } from './parse.ts';

const nodes = (text: string) => parseDockerfile(text).nodes;

test('parseDockerfile() splits names, flags and arguments', () => {
  const [from, copy] = nodes('FROM x\n  COPY --from=a --chown="b c" -- --d /e  \n');
  assert.equal(from?.name, 'from');
  assert.equal(from.rest, 'x');
  assert.deepEqual(copy?.flags, ['--from=a', '--chown=b c']);
  assert.equal(copy.rest, '--d /e');
  assert.equal(copy.original, 'COPY --from=a --chown="b c" -- --d /e');
  assert.equal(copy.startLine, 2);
});

test('parseDockerfile() joins continued lines and passes over comments in them', () => {
  const { nodes: found, warnings } = parseDockerfile('RUN a \\\n  # no\n  b \\  \n\n c\nRUN d \\\\\n');
  assert.deepEqual(
    found.map((node) => [node.rest, node.startLine, node.endLine]),
    [
      ['a   b  c', 1, 5],
      ['d \\\\', 6, 6],
    ],
  );
  assert.equal(warnings.length, 1);
});

test('parseDockerfile() reads heredocs of RUN, COPY and ADD', () => {
  const [run, copy, cmd] = nodes(
    'RUN <<A cat <<-"B"\n$x\nA\n\ty\n\tB\nCOPY <<f.txt /\nz\nf.txt\nCMD echo <<no\n',
  );
  assert.deepEqual(
    run?.heredocs.map(({ name, content, expand, chomp }) => [name, content, expand, chomp]),
    [
      ['A', '$x\n', true, false],
      ['B', 'y\n', false, true],
    ],
  );
  assert.equal(copy?.heredocs[0]?.content, 'z\n');
  assert.deepEqual(cmd?.heredocs, []);
  assert.throws(() => nodes('RUN <<A\nx\n'), /dockerfile parse error line 1: unterminated heredoc/);
});

test('parseDockerfile() reads directives at the top alone', () => {
  assert.equal(parseDockerfile('# escape=`\nRUN a `\nb\n').nodes.length, 1);
  assert.equal(parseDockerfile('#syntax = docker/dockerfile:1\nFROM x').syntax, 'docker/dockerfile:1');
  assert.equal(parseDockerfile('# comment\n# escape=`\nFROM x').escape, '\\');
  assert.equal(parseDockerfile('# unknown=1\n# escape=`\nFROM x').escape, '\\');
  assert.throws(() => parseDockerfile('# escape=z\nFROM x'), /invalid escape token 'z'/);
});

test('parseDockerfile() takes hostile files in linear time', () => {
  const began = performance.now();
  nodes(`FROM x\n${'RUN echo\n'.repeat(100_000)}`);
  nodes(`FROM x\nRUN ${' '.repeat(1_000_000)}x\n`);
  nodes(`FROM x\nRUN a${' \\\n b'.repeat(100_000)}\n`);
  nodes(`FROM x\nRUN ${'\'\\"<<'.repeat(100_000)}\n`);
  parseDockerfile(`# escape${' '.repeat(1_000_000)}x\nFROM x\n`);
  assert.ok(performance.now() - began < 10_000);
});
