import type { RuntimeProcess } from '../spec/index.ts';
import type { RuntimeTask } from '../runtime/index.ts';
import type { ContainerRecord, WaitCondition } from './containers.ts';
import type { ContainerSession } from './session.ts';
import type { HealthMonitor } from './health.ts';
import { AsyncLock } from './async-lock.ts';
import { RestartTracker } from './restart-policy.ts';

export interface Waiter {
  readonly condition: WaitCondition;
  settle(result: { exitCode: number; error?: string }): void;
}

/** A container in memory: its record and what belongs to this engine's life alone. */
export class ContainerEntry {
  readonly record: ContainerRecord;
  /** Held by whatever changes the state: start, exit, remove, pause … Never while waiting for the container to end. */
  readonly lock = new AsyncLock();
  readonly waiters = new Set<Waiter>();
  /** Attached clients; those of a container that does not run yet wait for its streams. */
  readonly sessions = new Set<ContainerSession>();
  readonly execIds = new Set<string>();
  readonly restart = new RestartTracker();
  task: RuntimeTask | null = null;
  /** The OCI process as it was started, on which exec sessions are built. */
  process: RuntimeProcess | null = null;
  health: HealthMonitor | null = null;
  /** Clean-up of the last run that goes on behind; a new start waits for it. */
  cleanup: Promise<void> = Promise.resolve();
  /** Makes the clean-up begin at once. */
  hurryCleanup: () => void = () => {};
  /** Who reads the root file system besides the container itself: it stays mounted for them. */
  rootUsers = 0;
  /** Set while `remove` works, so that a second one is told. */
  removing = false;
  /** Gone from the table. */
  removed = false;
  /** `restart` is between its stop and its start: the exit neither restarts nor removes. */
  restartingByUser = false;

  constructor(record: ContainerRecord) {
    this.record = record;
  }

  get id(): string {
    return this.record.id;
  }

  /** Docker's notion: paused and restarting containers run, too. */
  get running(): boolean {
    const { status } = this.record.state;
    return status === 'running' || status === 'paused' || status === 'restarting';
  }

  notifyStopped(): void {
    const { exitCode, error } = this.record.state;
    for (const waiter of this.waiters) {
      if (waiter.condition === 'removed') continue;
      this.waiters.delete(waiter);
      waiter.settle(error === '' ? { exitCode } : { exitCode, error });
    }
  }

  /** Everybody who still waits; a start that failed before is no error of the removal. */
  notifyRemoved(): void {
    const { exitCode } = this.record.state;
    for (const waiter of this.waiters) waiter.settle({ exitCode });
    this.waiters.clear();
  }
}
