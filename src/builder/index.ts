export type * from './builder.ts';
export { applyChanges } from './apply-changes.ts';
export type { ProvenanceOptions } from './export/provenance.ts';
export type { BuilderOptions, BuilderParts, StepSpecInput } from './parts.ts';
export { LocalBuilder } from './local-builder.ts';
export { solveText } from './progress/source-error.ts';
export type { SolveStatus, TraceLog, TraceStatus, TraceVertex, TraceWarning } from './progress/trace.ts';
