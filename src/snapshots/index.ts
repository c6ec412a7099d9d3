export type * from './snapshotter.ts';
export { CopySnapshotter } from './copy-snapshotter.ts';
export { openSnapshotter, type OpenSnapshotterOptions } from './open-snapshotter.ts';
export type { SnapshotterParts } from './layered-snapshotter.ts';
export { OverlaySnapshotter } from './overlay-snapshotter.ts';
