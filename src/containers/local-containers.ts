import type { LogEntry, LogReadOptions } from '../logs/index.ts';
import type { Descriptor, Digest, EndpointSettings, Resources, RestartPolicy } from '../spec/index.ts';
import { attachContainer } from './attach.ts';
import type {
  AttachRequest,
  AttachSession,
  CommitRequest,
  ContainerCreate,
  ContainerRecord,
  Containers,
  ExecCreate,
  ExecRecord,
  Filters,
  PathStat,
  WaitCondition,
} from './containers.ts';
import { connectNetwork, disconnectNetwork } from './connect.ts';
import { commitContainer } from './commit.ts';
import { createContainer } from './create.ts';
import { createExec, resolveExec, startExec } from './exec.ts';
import { exportContainer, readContainerArchive, statContainerPath, writeContainerArchive } from './files.ts';
import { killContainer } from './kill.ts';
import { removeLink } from './links.ts';
import { listContainers } from './list.ts';
import { LogRotation, containerLogs } from './logs.ts';
import { joinNetwork, type NetworkSetup } from './network-setup.ts';
import { pauseContainer, unpauseContainer } from './pause.ts';
import { pruneContainers } from './prune.ts';
import { removeContainer } from './remove.ts';
import { renameContainer } from './rename.ts';
import { resizeContainer, resizeExec } from './resize.ts';
import { restore } from './restore.ts';
import { containerDiskBytes, containerSizes } from './sizes.ts';
import { startContainer } from './start.ts';
import { restartContainer, stopContainer, type StopOptions } from './stop.ts';
import { ContainerTable, type ContainersOptions, type ContainersParts } from './table.ts';
import { topContainer } from './top.ts';
import { updateContainer } from './update.ts';
import { waitFor, type ContainerWait } from './wait.ts';

/**
 * The containers of this machine's engine. open() first (it restores what an earlier engine left), close() last: it
 * ends this engine's work on them, never the containers.
 */
export class LocalContainers implements Containers {
  readonly #table: ContainerTable;
  readonly #rotation: LogRotation;

  constructor(parts: ContainersParts, options: ContainersOptions) {
    this.#table = new ContainerTable(parts, options);
    this.#rotation = new LogRotation(this.#table);
  }

  async open(): Promise<void> {
    await restore(this.#table);
    this.#rotation.start();
  }

  /** Waits for the work in the background; containers go on. */
  async close(): Promise<void> {
    this.#table.closing = true;
    this.#rotation.stop();
    for (const entry of this.#table.entries.values()) {
      entry.restart.cancelTimer();
      entry.health?.stop();
      for (const session of entry.sessions) session.close();
    }
    await this.#table.settleBackground();
  }

  create(request: ContainerCreate): Promise<{ id: string; warnings: string[] }> {
    return createContainer(this.#table, request);
  }

  inspect(nameOrId: string): ContainerRecord {
    return this.#table.resolve(nameOrId).record;
  }

  joinNetwork(nameOrId: string): NetworkSetup {
    return joinNetwork(this.#table, nameOrId);
  }

  list(options: { all: boolean; limit?: number; filters?: Filters }): ContainerRecord[] {
    return listContainers(this.#table, options);
  }

  async start(nameOrId: string, _options: { detachKeys?: string } = {}): Promise<void> {
    await startContainer(this.#table, this.#table.resolve(nameOrId));
  }

  async stop(nameOrId: string, options: StopOptions): Promise<void> {
    await stopContainer(this.#table, this.#table.resolve(nameOrId), options);
  }

  async restart(nameOrId: string, options: StopOptions): Promise<void> {
    await restartContainer(this.#table, this.#table.resolve(nameOrId), options);
  }

  async kill(nameOrId: string, signal: string): Promise<void> {
    await killContainer(this.#table, this.#table.resolve(nameOrId), nameOrId, signal);
  }

  async pause(nameOrId: string): Promise<void> {
    await pauseContainer(this.#table, this.#table.resolve(nameOrId));
  }

  async unpause(nameOrId: string): Promise<void> {
    await unpauseContainer(this.#table, this.#table.resolve(nameOrId));
  }

  rename(nameOrId: string, newName: string): void {
    renameContainer(this.#table, this.#table.resolve(nameOrId), newName);
  }

  async update(
    nameOrId: string,
    change: Partial<Resources> & { RestartPolicy?: RestartPolicy },
  ): Promise<{ warnings: string[] }> {
    return updateContainer(this.#table, this.#table.resolve(nameOrId), change);
  }

  async connectNetwork(
    nameOrId: string,
    network: string,
    settings: Partial<EndpointSettings>,
  ): Promise<void> {
    await connectNetwork(this.#table, this.#table.resolve(nameOrId), network, settings);
  }

  async disconnectNetwork(nameOrId: string, network: string, options: { force: boolean }): Promise<void> {
    await disconnectNetwork(this.#table, this.#table.resolve(nameOrId), network, options);
  }

  async remove(
    nameOrId: string,
    options: { force: boolean; volumes: boolean; link: boolean },
  ): Promise<void> {
    if (options.link) return removeLink(this.#table, nameOrId);
    await removeContainer(this.#table, this.#table.resolve(nameOrId), options);
  }

  prune(filters: Filters): Promise<{ ids: string[]; spaceReclaimedBytes: number }> {
    return pruneContainers(this.#table, filters);
  }

  wait(nameOrId: string, condition: WaitCondition): ContainerWait {
    return waitFor(this.#table.resolve(nameOrId), condition);
  }

  async attach(nameOrId: string, request: AttachRequest): Promise<AttachSession> {
    return attachContainer(this.#table, this.#table.resolve(nameOrId), nameOrId, request);
  }

  logs(nameOrId: string, options: LogReadOptions): { tty: boolean; entries: AsyncIterable<LogEntry[]> } {
    return containerLogs(this.#table, this.#table.resolve(nameOrId), options);
  }

  async resize(nameOrId: string, rows: number, columns: number): Promise<void> {
    await resizeContainer(this.#table, this.#table.resolve(nameOrId), rows, columns);
  }

  async top(nameOrId: string, psArguments: string): Promise<{ titles: string[]; processes: string[][] }> {
    return topContainer(this.#table, this.#table.resolve(nameOrId), psArguments);
  }

  async changes(nameOrId: string): Promise<{ path: string; kind: 'modified' | 'added' | 'deleted' }[]> {
    return this.#table.parts.snapshotter.changes(this.#table.resolve(nameOrId).id);
  }

  async sizes(nameOrId: string): Promise<{ sizeRwBytes: number; sizeRootFsBytes: number }> {
    return containerSizes(this.#table, this.#table.resolve(nameOrId));
  }

  imageName(nameOrId: string): string {
    const { imageName, imageId } = this.#table.resolve(nameOrId).record;
    const { images } = this.#table.parts;
    const isSame = imageName === imageId || images.platforms(imageName).includes(imageId as Digest);
    return isSame ? imageName : imageId;
  }

  imageManifest(nameOrId: string): Descriptor | undefined {
    return this.#table.parts.images.manifestOf(this.#table.resolve(nameOrId).record.imageId);
  }

  async diskBytes(nameOrId: string): Promise<number> {
    return containerDiskBytes(this.#table, this.#table.resolve(nameOrId));
  }

  async createExec(nameOrId: string, request: ExecCreate): Promise<string> {
    return createExec(this.#table, this.#table.resolve(nameOrId), nameOrId, request).record.id;
  }

  async startExec(
    execId: string,
    options: { attach: boolean; tty: boolean; consoleSize?: [number, number] },
  ): Promise<AttachSession | undefined> {
    return startExec(this.#table, resolveExec(this.#table, execId), options);
  }

  inspectExec(execId: string): ExecRecord {
    return resolveExec(this.#table, execId).record;
  }

  async resizeExec(execId: string, rows: number, columns: number): Promise<void> {
    await resizeExec(this.#table, resolveExec(this.#table, execId), rows, columns);
  }

  execIds(nameOrId: string): string[] {
    return [...this.#table.resolve(nameOrId).execIds];
  }

  async statPath(nameOrId: string, path: string): Promise<PathStat> {
    return statContainerPath(this.#table, this.#table.resolve(nameOrId), nameOrId, path);
  }

  async readArchive(
    nameOrId: string,
    path: string,
  ): Promise<{ stat: PathStat; archive: AsyncIterable<Uint8Array> }> {
    return readContainerArchive(this.#table, this.#table.resolve(nameOrId), nameOrId, path);
  }

  async writeArchive(
    nameOrId: string,
    path: string,
    archive: AsyncIterable<Uint8Array>,
    options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
  ): Promise<void> {
    const request = { path, archive, ...options };
    await writeContainerArchive(this.#table, this.#table.resolve(nameOrId), nameOrId, request);
  }

  async commit(nameOrId: string, request: CommitRequest): Promise<Digest> {
    return commitContainer(this.#table, this.#table.resolve(nameOrId), request);
  }

  async export(nameOrId: string): Promise<AsyncIterable<Uint8Array>> {
    return exportContainer(this.#table, this.#table.resolve(nameOrId));
  }
}
