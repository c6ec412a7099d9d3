import { memoryContentStore } from './memory.ts';
import { contentStoreSuite } from './suite.ts';

contentStoreSuite('memory', () => {
  const store = memoryContentStore();
  return { store, remove: () => store[Symbol.dispose]() };
});
