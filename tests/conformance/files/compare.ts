/**
 * Compares what comes out of an engine with what comes out of a reference dockerd, file for file, and exchanges images
 * between them: `node tests/conformance/files/compare.ts --reference unix:///run/docker.sock [--base FILE]`. The base is
 * busybox, else an image that `docker save` wrote, such as one of Debian. Exits with 1 when something differs.
 * `--record` writes the reference's outcomes to expected.json, for the test.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { TestDaemon } from '../../fixtures/daemon.ts';
import { archiveOf, busyboxArchive } from './image.ts';
import { Client, runOperations, type Outcome } from './operations.ts';
import { recorded } from './recorded.ts';

const { values } = parseArgs({
  options: { reference: { type: 'string' }, base: { type: 'string' }, record: { type: 'boolean' } },
});
if (values.reference === undefined) throw new Error('--reference unix:///run/docker.sock');
const reference = new Client(values.reference);
const daemon = await TestDaemon.start();
const own = new Client(daemon.host);
let differences = 0;

function differs(what: string, text: string): void {
  differences += 1;
  console.log(`${what}\n${text}`);
}

function compare(what: string, theirs: Outcome | undefined, ours: Outcome | undefined): void {
  const keyed = (outcome: Outcome = []): [string, string][] =>
    Array.isArray(outcome) ? outcome.map((line: string) => [line, '']) : Object.entries(outcome as object);
  const [their, our] = [new Map(keyed(theirs)), new Map(keyed(ours))];
  for (const key of new Set([...their.keys(), ...our.keys()])) {
    if (their.get(key) === our.get(key) && their.has(key) === our.has(key)) continue;
    const show = (map: Map<string, string>): string =>
      map.has(key) ? `${JSON.stringify(key)} ${map.get(key)}` : '(nothing)';
    differs(what, `  dockerd: ${show(their)}\n  ours:    ${show(our)}`);
  }
  if (differences === 0 && [...their.keys()].join('\n') !== [...our.keys()].join('\n'))
    differs(what, '  another order');
}

/** Layers of an image in an archive. */
function layersOf(archive: string): Buffer[] {
  const work = mkdtempSync(join(tmpdir(), 'coracle-files-'));
  try {
    spawnSync('tar', ['-x', '-C', work, '-f', archive]);
    const [item] = JSON.parse(readFileSync(join(work, 'manifest.json'), 'utf8')) as [{ Layers: string[] }];
    return item.Layers.map((path) => readFileSync(join(work, path)));
  } finally {
    rmSync(work, { recursive: true });
  }
}

const id = (client: Client, name: string): string => client.text('inspect', '-f', '{{.Id}}', name);

try {
  const archive = values.base === undefined ? await busyboxArchive() : await archiveOf(layersOf(values.base));
  for (const client of [reference, own]) client.run(['load'], archive);
  if (id(reference, 'files:1') !== id(own, 'files:1')) differs('load', '  another id');
  const [theirs, ours] = [await runOperations(reference), await runOperations(own)];
  for (const name of Object.keys(theirs)) compare(name, theirs[name], ours[name]);
  if (values.record === true) {
    const text = JSON.stringify(recorded(theirs), undefined, 2);
    writeFileSync(new URL('expected.json', import.meta.url), `${text}\n`);
  }

  for (const [from, to, way] of [
    [reference, own, 'dockerd to ours'],
    [own, reference, 'ours to dockerd'],
  ] as const) {
    const tag = `coracle-files-exchanged:${way.replaceAll(' ', '-')}`;
    from.run([
      'run',
      '--name',
      'coracle-files-made',
      '--network',
      'none',
      'files:1',
      'sh',
      '-c',
      `echo ${way} > /made`,
    ]);
    from.run(['commit', 'coracle-files-made', tag]);
    from.run(['rm', 'coracle-files-made']);
    to.run(['load'], from.run(['save', tag, 'files:1']));
    if (id(from, tag) !== id(to, tag)) differs(`save and load, ${way}`, '  another id');
    const back = from.run(['save', tag]);
    for (const client of [from, to]) client.run(['rmi', tag]);
    from.run(['load'], back);
    from.run(['rmi', tag]);
  }
  console.log(`${Object.keys(theirs).length} operations, ${differences} differences`);
} finally {
  reference.run(['rmi', '-f', 'files:1'], undefined, true);
  await daemon.dispose();
}
process.exitCode = differences === 0 ? 0 : 1;
