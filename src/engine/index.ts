export type * from './engine.ts';
export type { EngineOptions } from './options.ts';
export { Engine } from './open-engine.ts';
