export type * from './bus.ts';
export { MemoryEventBus } from './memory-event-bus.ts';
export { eventFilter } from './filter.ts';
