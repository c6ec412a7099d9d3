export type * from './containers.ts';
export { LocalContainers } from './local-containers.ts';
export type { ContainersOptions, ContainersParts } from './table.ts';
export { buildSpec, commonSeccompPolicy } from './oci-spec/index.ts';
