import type { EngineServices } from '../engine/index.ts';
import type { CreateDefaults } from './container-defaults.ts';
import type { Route } from './route.ts';
import { containerRoutes } from './routes/containers.ts';
import { containerStreamRoutes } from './routes/container-streams.ts';
import { systemRoutes } from './routes/system.ts';
import type { InfoSettings } from './views/info.ts';

/** What the API needs to know besides the engine. */
export interface ApiOptions extends Omit<InfoSettings, 'eventListeners'> {
  defaultShmSizeBytes: number;
  logOptions: Readonly<Record<string, string>>;
}

/** The whole table of the Engine API over an engine. */
export function apiRoutes(engine: EngineServices, options: ApiOptions): Route[] {
  const settings: InfoSettings = { ...options, eventListeners: () => 0 };
  const createDefaults = (): CreateDefaults & { storageDriver: string } => {
    const { cgroupVersion, storageDriver } = engine.facts();
    return {
      shmSizeBytes: options.defaultShmSizeBytes,
      cgroupVersion,
      storageDriver,
      logDriver: options.logDriver,
      logOptions: options.logOptions,
    };
  };
  return [
    ...systemRoutes(engine, settings),
    ...containerRoutes(engine.containers, createDefaults),
    ...containerStreamRoutes(engine.containers),
  ];
}
