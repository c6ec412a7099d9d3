export type * from './images.ts';
export { LocalImages, type LocalImagesParts } from './local-images.ts';
export type { UnpackLayer } from './layers.ts';
export { progressOf } from './progress-text.ts';
export type { LayerStack, Tree, TreeLayer, Trees } from './trees.ts';
