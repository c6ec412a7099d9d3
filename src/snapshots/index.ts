export type * from './snapshotter.ts';
export { CopySnapshotter } from './copy-snapshotter.ts';
export { openSnapshotter, type OpenSnapshotterOptions } from './open-snapshotter.ts';
export { OverlaySnapshotter, type SnapshotterParts } from './overlay-snapshotter.ts';
