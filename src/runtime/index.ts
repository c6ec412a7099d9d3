export type * from './container-runtime.ts';
