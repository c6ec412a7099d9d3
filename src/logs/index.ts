export type * from './container-log.ts';
