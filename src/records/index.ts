export type * from './records.ts';
export { memoryRecords, openRecords } from './sqlite-records.ts';
