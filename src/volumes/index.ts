export type * from './volumes.ts';
export { LocalVolumes, type LocalVolumesParts } from './local-volumes.ts';
export { anonymousLabel } from './filters.ts';
