export type * from './container-runtime.ts';
export { ConmonRuntime, type ConmonRuntimeOptions } from './conmon/conmon-runtime.ts';
