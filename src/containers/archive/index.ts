export type { ContainerView } from './container-tree.ts';
export { exportTree, readArchive, statPath, writeArchive, type WriteArchiveOptions } from './copy.ts';
