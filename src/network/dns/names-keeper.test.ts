import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createSpawner } from '../../sys/index.ts';
import { NamesKeeper } from './names-keeper.ts';

/** A keeper whose program says that it runs, and then does nothing for a while. */
function keeper(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'keeper-'));
  const spawner = createSpawner();
  context.after(() => {
    spawner.close();
    rmSync(directory, { recursive: true });
  });
  const pidPath = join(directory, 'pid');
  const started = join(directory, 'started');
  const command = ['/bin/sh', '-c', `echo $$ > ${started}; exec sleep 60`, directory];
  return { pidPath, started, make: () => new NamesKeeper({ spawner, command, pidPath }) };
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('NamesKeeper: the program starts when the engine ends, and the next engine ends it', async (context) => {
  const { pidPath, started, make } = keeper(context);
  const one = make();
  one.appoint();
  one.appoint();
  assert.equal(existsSync(started), false);
  const waiting = Number(readFileSync(pidPath, 'utf8'));
  await one.close(true);
  for (let tries = 0; !existsSync(started) || readFileSync(started, 'utf8') === ''; tries++) {
    assert.ok(tries < 200, 'it did not start');
    await delay(10);
  }
  assert.equal(Number(readFileSync(started, 'utf8')), waiting);
  await delay(50);
  // It has another name now than the one it was started by: whoever that is, it is left alone.
  await make().dismiss();
  assert.ok(isAlive(waiting));
  process.kill(waiting, 'SIGKILL');
});

test('NamesKeeper: the waiting shell ends when there is nothing to keep, or by the next engine', async (context) => {
  const { pidPath, started, make } = keeper(context);
  const one = make();
  one.appoint();
  await one.close(false);
  assert.deepEqual([existsSync(pidPath), existsSync(started)], [false, false]);
  const two = make();
  two.appoint();
  const waiting = Number(readFileSync(pidPath, 'utf8'));
  // The kernel lets the one who spawned go on a moment before the new program has its arguments.
  while (readFileSync(`/proc/${waiting}/cmdline`, 'utf8') === '') await delay(1);
  await make().dismiss();
  assert.deepEqual([isAlive(waiting), existsSync(pidPath), existsSync(started)], [false, false, false]);
  await two.close(true);
});
