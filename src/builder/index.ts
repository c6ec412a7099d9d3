export type * from './builder.ts';
export type { BuilderOptions, BuilderParts, StepSpecInput } from './parts.ts';
export { LocalBuilder } from './local-builder.ts';
export type { SolveStatus } from './progress/trace.ts';
