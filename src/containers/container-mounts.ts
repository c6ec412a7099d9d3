import type { RuntimeMount } from '../spec/index.ts';
import type { ContainerRecord } from './containers.ts';
import type { ContainerTable } from './table.ts';

/** Volumes are made and referred to, `record.mounts` and `record.anonymousVolumes` filled in. */
export async function planMounts(_table: ContainerTable, _record: ContainerRecord): Promise<void> {
  await Promise.resolve();
}

export async function acquireMounts(
  _table: ContainerTable,
  _record: ContainerRecord,
  _rootPath: string,
): Promise<RuntimeMount[]> {
  return Promise.resolve([]);
}

export async function releaseMounts(_table: ContainerTable, _record: ContainerRecord): Promise<void> {
  await Promise.resolve();
}

export async function releaseVolumes(
  _table: ContainerTable,
  _record: ContainerRecord,
  _options: { removeAnonymous: boolean },
): Promise<void> {
  await Promise.resolve();
}

/** After an engine start: volumes know again who refers to them. */
export async function adoptMounts(_table: ContainerTable, _record: ContainerRecord): Promise<void> {
  await Promise.resolve();
}
