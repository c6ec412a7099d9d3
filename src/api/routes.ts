import type { EngineServices } from '../engine/index.ts';
import type { CreateDefaults } from './container-defaults.ts';
import type { Route } from './route.ts';
import { buildRoutes } from './routes/build.ts';
import { containerRoutes } from './routes/containers.ts';
import { archiveRoutes } from './routes/archive.ts';
import { containerStreamRoutes } from './routes/container-streams.ts';
import { diskUsageRoutes } from './routes/disk-usage.ts';
import { eventRoutes, type Listeners } from './routes/events.ts';
import { extensionRoutes } from './routes/extensions.ts';
import { execRoutes } from './routes/exec.ts';
import { imageTransferRoutes } from './routes/image-transfer.ts';
import { imageRoutes } from './routes/images.ts';
import { networkRoutes } from './routes/networks.ts';
import { registryRoutes } from './routes/registry.ts';
import { refusedRoutes } from './routes/refused.ts';
import { statsRoutes } from './routes/stats.ts';
import { volumeRoutes } from './routes/volumes.ts';
import { systemRoutes } from './routes/system.ts';
import type { InfoSettings } from './views/info.ts';

/** What the API needs to know besides the engine. */
export interface ApiOptions extends Omit<InfoSettings, 'eventListeners'> {
  defaultShmSizeBytes: number;
  logOptions: Readonly<Record<string, string>>;
  /** `--init`: containers that do not say get one. */
  defaultInit?: boolean;
}

/** The whole table of the Engine API over an engine. */
export function apiRoutes(engine: EngineServices, options: ApiOptions): Route[] {
  const listeners: Listeners = { count: 0 };
  // The options are read at each request: a reload changes them in place.
  const settings = (): InfoSettings => ({ ...options, eventListeners: () => listeners.count });
  const createDefaults = (): CreateDefaults & { storageDriver: string } => {
    const { cgroupVersion, storageDriver } = engine.facts();
    return {
      shmSizeBytes: options.defaultShmSizeBytes,
      cgroupVersion,
      storageDriver,
      logDriver: options.logDriver,
      logOptions: options.logOptions,
      init: options.defaultInit ?? false,
    };
  };
  return [
    ...systemRoutes(engine, settings),
    ...containerRoutes(engine.containers, createDefaults),
    ...containerStreamRoutes(engine.containers),
    ...execRoutes(engine.containers),
    ...archiveRoutes(engine.containers),
    ...imageTransferRoutes(engine),
    ...imageRoutes({
      images: engine.images,
      containers: engine.containers,
      storageDriver: () => engine.facts().storageDriver,
    }),
    ...registryRoutes(engine),
    ...statsRoutes(engine.containers, () => engine.facts().memoryBytes),
    ...diskUsageRoutes(engine),
    ...volumeRoutes(engine.volumes),
    ...networkRoutes(engine.networks, engine.containers),
    ...eventRoutes(engine.events, listeners),
    ...buildRoutes(engine.builder),
    ...extensionRoutes(engine),
    ...refusedRoutes(),
  ];
}
