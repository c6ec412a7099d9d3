import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageRunConfig } from '../spec/index.ts';
import { applyChanges } from './apply-changes.ts';

const shell = ['/bin/sh', '-c'];

// changes, config before, config after
const good: [string[], ImageRunConfig, ImageRunConfig][] = [
  [['CMD ["a", "b c"]'], {}, { Cmd: ['a', 'b c'] }],
  [['cmd echo hi  there'], {}, { Cmd: [...shell, 'echo hi  there'] }],
  [
    ['CMD [not json]'],
    { Shell: ['/bin/bash', '-c'] },
    { Shell: ['/bin/bash', '-c'], Cmd: ['/bin/bash', '-c', '[not json]'] },
  ],
  [['CMD []'], { Cmd: ['x'] }, { Cmd: [] }],
  [['ENTRYPOINT ["e"]'], { Cmd: ['old'] }, { Entrypoint: ['e'], Cmd: null }],
  [['CMD ["c"]', 'ENTRYPOINT ["e"]'], { Cmd: ['old'] }, { Entrypoint: ['e'], Cmd: ['c'] }],
  [['ENV A=1 B="two words" C=a\\ b'], {}, { Env: ['A=1', 'B=two words', 'C=a b'] }],
  [['ENV A the rest of it'], {}, { Env: ['A=the rest of it'] }],
  [
    ['ENV A=2', 'ENV B=$A-${A}-${X:-none}-${A:+set}'],
    { Env: ['A=1', 'Z=z'] },
    { Env: ['A=2', 'Z=z', 'B=2-2-none-set'] },
  ],
  [['ENV A=\'$Z\' B=\\$Z C="$Z"'], { Env: ['Z=z'] }, { Env: ['Z=z', 'A=$Z', 'B=$Z', 'C=z'] }],
  [
    ['EXPOSE 80 443/udp 8000-8002/tcp'],
    {},
    { ExposedPorts: { '80/tcp': {}, '443/udp': {}, '8000/tcp': {}, '8001/tcp': {}, '8002/tcp': {} } },
  ],
  [
    ['LABEL a=b "c d"="e f"', 'LABEL old form value'],
    { Labels: { z: '1' } },
    { Labels: { z: '1', a: 'b', 'c d': 'e f', old: 'form value' } },
  ],
  [['USER 1000:100'], {}, { User: '1000:100' }],
  [['VOLUME /a /b', 'VOLUME ["/c d"]'], {}, { Volumes: { '/a': {}, '/b': {}, '/c d': {} } }],
  [['WORKDIR /a', 'WORKDIR b/../c/'], {}, { WorkingDir: '/a/c' }],
  [['WORKDIR x'], {}, { WorkingDir: '/x' }],
  [['STOPSIGNAL SIGTERM'], {}, { StopSignal: 'SIGTERM' }],
  [
    ['HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f x'],
    {},
    { Healthcheck: { Interval: 90e9, Timeout: 5e8, Retries: 3, Test: ['CMD-SHELL', 'curl -f x'] } },
  ],
  [['HEALTHCHECK CMD ["a","b"]'], {}, { Healthcheck: { Test: ['CMD', 'a', 'b'] } }],
  [['HEALTHCHECK NONE'], {}, { Healthcheck: { Test: ['NONE'] } }],
  [['ONBUILD RUN make'], { OnBuild: ['ADD . /'] }, { OnBuild: ['ADD . /', 'RUN make'] }],
  [['# comment', '', 'ENV A=1 \\', '  B=2'], {}, { Env: ['A=1', 'B=2'] }],
];

const bad: [string, string][] = [
  ['RUN x', 'run is not a valid change command'],
  ['FROM scratch', 'from is not a valid change command'],
  ['ENV', 'ENV requires at least one argument'],
  ['ENV A', 'ENV must have two arguments'],
  ['ENV A=1 B', `Syntax error - can't find = in "B". Must be of the form: name=value`],
  ['ENV =x', 'ENV names can not be blank'],
  [
    'ENV A="open',
    'failed to process "\\"open": unexpected end of statement while looking for matching double-quote',
  ],
  ['EXPOSE x', 'Invalid containerPort: x'],
  ['EXPOSE 70000', 'Invalid containerPort: 70000'],
  ['EXPOSE 80/foo', 'Invalid proto: foo'],
  ['USER', 'USER requires exactly one argument'],
  ['STOPSIGNAL no-signal', 'Invalid signal: no-signal'],
  ['HEALTHCHECK curl', 'Unknown type "curl" in HEALTHCHECK (try CMD)'],
  ['HEALTHCHECK --interval=5 CMD x', 'time: missing unit in duration "5"'],
  ['HEALTHCHECK CMD', 'Missing command after HEALTHCHECK CMD'],
  ['ONBUILD ONBUILD RUN x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
  ['ONBUILD FROM x', "FROM isn't allowed as an ONBUILD trigger"],
];

for (const [changes, before, after] of good) {
  test(`applyChanges() applies ${changes.join(' | ')}`, () => {
    const copy = structuredClone(before);
    assert.deepEqual(applyChanges(before, changes), after);
    assert.deepEqual(before, copy);
  });
}

for (const [change, message] of bad) {
  test(`applyChanges() refuses ${change}`, () => {
    assert.throws(() => applyChanges({}, [change]), { kind: 'invalid-parameter', message });
  });
}
