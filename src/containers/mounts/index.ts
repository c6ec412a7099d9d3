export { ContainerMounts, type ContainerMountsParts } from './container-mounts.ts';
export type { FindDonor, MountPlan, MountedContainer } from './plan.ts';
