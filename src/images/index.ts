export type * from './images.ts';
export { LocalImages, type LocalImagesParts } from './local-images.ts';
export type { UnpackLayer } from './layers.ts';
export { progressOf } from './progress-text.ts';
export { dockerType } from './compose.ts';
export { parseImageConfig } from './image-config.ts';
export { isIndex, parseAllEntries, parseIndexEntries, parseManifest } from './manifests.ts';
export type { FetchLayer, LayerStack, PackedLayers, RemoteLayer, Tree, TreeLayer, Trees } from './trees.ts';
