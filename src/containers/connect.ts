import { EngineError } from '../errors/index.ts';
import type { EndpointSettings } from '../spec/index.ts';
import { emptyEndpoint } from './create.ts';
import type { ContainerEntry } from './entry.ts';
import { invalid } from './errors.ts';
import { checkTogether, hostNetwork } from './network-modes.ts';
import { attachOne, nameOptions, publishNetwork, watchNetworkFiles } from './network-setup.ts';
import type { ContainerTable } from './table.ts';

/** @see moby daemon/container_operations.go ConnectToNetwork */
export async function connectNetwork(
  table: ContainerTable,
  entry: ContainerEntry,
  nameOrId: string,
  settings: Partial<EndpointSettings>,
): Promise<void> {
  const { networks } = table.parts;
  const name = networks.nameOf(nameOrId);
  await entry.lock.run(async () => {
    const { record } = entry;
    const mode = record.hostConfig.NetworkMode;
    if (entry.removed || entry.removing || record.state.status === 'dead') {
      throw new EngineError(
        'conflict',
        `Container ${entry.id} is marked for removal and cannot be connected or disconnected to the network`,
      );
    }
    checkTogether(mode, Object.keys(record.networks), name);
    networks.checkEndpoint(name, settings);
    if (record.networks[name] !== undefined) {
      if (!entry.running) record.networks[name] = { ...emptyEndpoint(), ...settings };
      else
        throw new EngineError(
          'forbidden',
          `endpoint with name ${record.name} already exists in network ${name}`,
        );
      table.save(entry);
      return;
    }
    if (!entry.running) {
      record.networks[name] = { ...emptyEndpoint(), ...settings };
      table.save(entry);
      return;
    }
    const updateFiles = watchNetworkFiles(table, entry);
    attachOne(table, entry, name, settings);
    networks.answerNames(entry.id, nameOptions(table, record));
    updateFiles();
    table.save(entry);
  });
}

/** @see moby daemon/container_operations.go DisconnectFromNetwork */
export async function disconnectNetwork(
  table: ContainerTable,
  entry: ContainerEntry,
  nameOrId: string,
  options: { force: boolean },
): Promise<void> {
  const { networks } = table.parts;
  const name = networks.nameOf(nameOrId);
  await entry.lock.run(async () => {
    const { record } = entry;
    const settings = record.networks[name];
    if (name === 'host' && record.hostConfig.NetworkMode === 'host' && entry.running)
      throw invalid(hostNetwork);
    if (settings === undefined) {
      if (options.force) return;
      throw new EngineError('internal', `container ${entry.id} is not connected to network ${name}`);
    }
    const updateFiles = entry.running ? watchNetworkFiles(table, entry) : undefined;
    if (entry.running && settings.EndpointID !== '') {
      await networks.detach(entry.id, name);
      publishNetwork(table, entry, 'disconnect', name, settings.NetworkID);
    }
    delete record.networks[name];
    updateFiles?.();
    table.save(entry);
  });
}
