export type * from './store.ts';
export { LocalContentStore } from './local/local-content-store.ts';
export { memoryContentStore } from './memory.ts';
