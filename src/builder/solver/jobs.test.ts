import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedJobs, Slots, type JobContext, type Waiter } from './jobs.ts';

function waiter(): Waiter & { controller: AbortController; heard: string[]; started: number } {
  const controller = new AbortController();
  const made = {
    controller,
    signal: controller.signal,
    heard: [] as string[],
    started: 0,
    onOutput: (output: Parameters<Waiter['onOutput']>[0]) => {
      made.heard.push(output.kind === 'note' ? output.text : output.kind);
    },
    onStart: () => {
      made.started += 1;
    },
  };
  return made;
}

/** Work that ends when it is told to, or is stopped. */
function work() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const jobs: JobContext[] = [];
  const start = (job: JobContext): Promise<string> => {
    jobs.push(job);
    const stopped = Promise.withResolvers<never>();
    job.signal.addEventListener('abort', () => stopped.reject(job.signal.reason));
    return Promise.race([promise, stopped.promise]);
  };
  return { start, jobs, finish: resolve };
}

test('SharedJobs.run() does what has the same key once, and tells all what it says', async () => {
  const shared = new SharedJobs<string>();
  const [one, two] = [waiter(), waiter()];
  const { start, jobs, finish } = work();
  const first = shared.run('key', one, start);
  jobs[0]?.output({ kind: 'note', text: 'early' });
  const second = shared.run('key', two, start);
  await Promise.resolve();
  jobs[0]?.output({ kind: 'note', text: 'late' });
  finish('done');
  assert.deepEqual(await Promise.all([first, second]), ['done', 'done']);
  assert.deepEqual([jobs.length, one.started, two.started], [1, 1, 0]);
  assert.deepEqual(
    [one.heard, two.heard],
    [
      ['early', 'late'],
      ['early', 'late'],
    ],
  );
  const again = shared.run('key', one, async () => 'anew');
  assert.equal(await again, 'anew');
});

test('SharedJobs.run() goes on without the one that began it, and stops with the last', async () => {
  const shared = new SharedJobs<string>();
  const [one, two] = [waiter(), waiter()];
  const { start, jobs } = work();
  const first = shared.run('key', one, start);
  const second = shared.run('key', two, start);
  one.controller.abort(new Error('left'));
  await assert.rejects(first, /left/);
  assert.equal(jobs[0]?.signal.aborted, false);
  two.controller.abort(new Error('left too'));
  await assert.rejects(second, /left too/);
  assert.equal(jobs[0]?.signal.aborted, true);
});

test('SharedJobs.run() gives a failure to all, and begins anew after it', async () => {
  const shared = new SharedJobs<string>();
  const failing = async (): Promise<string> => {
    throw new Error('no');
  };
  const both = [shared.run('key', waiter(), failing), shared.run('key', waiter(), failing)];
  for (const outcome of await Promise.allSettled(both)) assert.equal(outcome.status, 'rejected');
  assert.equal(await shared.run('key', waiter(), async () => 'yes'), 'yes');
});

test('Slots.use() lets so many work at a time, first come, first served', async () => {
  const slots = new Slots(2);
  const { signal } = new AbortController();
  let [running, most] = [0, 0];
  const order: number[] = [];
  const body = (index: number) => async (): Promise<void> => {
    order.push(index);
    most = Math.max(most, (running += 1));
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
  };
  await Promise.all([0, 1, 2, 3, 4].map((index) => slots.use(signal, body(index))));
  assert.equal(most, 2);
  assert.deepEqual(order, [0, 1, 2, 3, 4]);
  await assert.rejects(slots.use(AbortSignal.abort(new Error('late')), body(5)), /late/);
  await slots.use(signal, body(6));
});
