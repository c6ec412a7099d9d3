import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../flags/parse.ts';
import { createBody } from './container-config.ts';
import { containerFlags } from './container-flags.ts';

const bodyOf = (...argv: string[]) => {
  const parsed = parseFlags(containerFlags, [...argv, 'image', 'cmd'], false);
  return createBody(parsed, parsed.args[0] ?? '', parsed.args.slice(1));
};

test('createBody() sets the streams as docker does', () => {
  const plain = bodyOf();
  assert.deepEqual(
    [plain.AttachStdin, plain.AttachStdout, plain.AttachStderr, plain.StdinOnce],
    [false, true, true, false],
  );
  const interactive = bodyOf('-i', '-a', 'stdout');
  assert.deepEqual(
    [interactive.AttachStdin, interactive.AttachStdout, interactive.AttachStderr, interactive.StdinOnce],
    [true, true, false, true],
  );
});

test('createBody() resets the entrypoint for an empty one', () => {
  assert.deepEqual(bodyOf('--entrypoint', '')['Entrypoint'], ['']);
  assert.equal(bodyOf()['Entrypoint'], null);
});

test('createBody() spells capabilities in one way', () => {
  assert.deepEqual(
    bodyOf('--cap-add', 'net_admin', '--cap-add', 'CAP_NET_ADMIN', '--cap-add', 'ALL').HostConfig['CapAdd'],
    ['ALL', 'CAP_NET_ADMIN'],
  );
});

test('createBody() keeps links of user networks out of the host configuration', () => {
  const body = bodyOf('--network', 'n', '--link', 'a:b');
  assert.equal(body.HostConfig['Links'], null);
  assert.deepEqual(body.NetworkingConfig.EndpointsConfig, { n: { Links: ['a:b'] } });
  assert.deepEqual(bodyOf('--link', 'a:b').HostConfig['Links'], ['a:b']);
});

for (const [argv, message] of [
  [['--rm', '--restart', 'always'], 'conflicting options: cannot specify both --restart and --rm'],
  [['--pid', 'foo'], '--pid: invalid PID mode'],
  [['--memory-swappiness', '101'], 'invalid value: 101. Valid memory swappiness range is 0-100'],
  [['--no-healthcheck', '--health-cmd', 'x'], '--no-healthcheck conflicts with --health-* options'],
  [['--security-opt', 'foo'], 'Invalid --security-opt: "foo"'],
  [['--log-driver', 'none', '--log-opt', 'a=b'], 'invalid logging opts for driver none'],
] as const) {
  test(`createBody() refuses ${argv.join(' ')}`, () => {
    assert.throws(() => bodyOf(...argv), { message });
  });
}
