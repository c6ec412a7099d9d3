export type * from './engine.ts';
export type { EngineOptions } from './options.ts';
export { Engine } from './open-engine.ts';
export { containerCreate, type ContainerRequest } from './container-request.ts';
export type { RunRequest, RunResult } from './run.ts';
