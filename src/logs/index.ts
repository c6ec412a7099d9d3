export type * from './container-log.ts';
export { FileContainerLogs } from './file-container-logs.ts';
