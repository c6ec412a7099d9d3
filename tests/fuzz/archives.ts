/**
 * Feeds made-up archives to load, import, unpacking and copying until the time is over:
 * `node tests/fuzz/archives.ts [--seconds 600] [--seed N] [--cases N]`. A case's seed runs it again: `--seed N --cases 1`.
 * Exits with 1 after a case that must not be.
 */
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { FuzzHarness } from './harness.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string' }, seed: { type: 'string' }, cases: { type: 'string' } },
});
const seconds = Number(values.seconds ?? 600);
const firstSeed = Number(values.seed ?? Date.now() % 2 ** 31);
const most = Number(values.cases ?? Infinity);
const hungSeconds = 60;

/** A loop without end keeps this thread from saying so: another one watches. */
const progress = new BigInt64Array(new SharedArrayBuffer(8));
const watcher = new Worker(
  `const { workerData } = require('node:worker_threads');
   const progress = new BigInt64Array(workerData.shared);
   let last = -1n;
   setInterval(() => {
     if (progress[0] === last) { console.error('case with seed ' + last + ' does not end'); process.kill(process.pid, 'SIGKILL'); }
     last = progress[0];
   }, ${hungSeconds * 1000});`,
  { eval: true, workerData: { shared: progress.buffer } },
);
watcher.unref();

console.log(`seed ${firstSeed}`);
const counts = new Map<string, number>();
const found = new Map<string, number>();
const end = Date.now() + seconds * 1000;
let cases = 0;
let peakBytes = 0;
{
  await using harness = await FuzzHarness.open();
  for (; cases < most && Date.now() < end; cases += 1) {
    const seed = firstSeed + cases;
    progress[0] = BigInt(seed);
    const { door, result, text } = await harness.run(seed);
    const key = `${door} ${result}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
    if (result !== 'wrong') continue;
    const kind = `${door}: ${text.replaceAll(/[0-9a-f]{64}|\d+/g, '#').slice(0, 300)}`;
    if (!found.has(kind)) console.log(`seed ${seed}: ${door}: ${text}`);
    found.set(kind, (found.get(kind) ?? 0) + 1);
  }
}
await watcher.terminate();
for (const [key, count] of [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  console.log(`${key.padEnd(16)} ${count}`);
console.log(`${cases} cases, ${found.size} kinds of failure, at most ${Math.round(peakBytes / 2 ** 20)} MiB`);
process.exitCode = found.size === 0 ? 0 : 1;
