export type { BuildExecProcess, BuildSpec, BuiltSpec, SpecInput } from './build-spec.ts';
export { capabilitiesInMask, defaultCapabilities, knownCapabilities } from './capabilities.ts';
export { buildSpec } from './container-spec.ts';
export { buildExecProcess } from './exec-process.ts';
export { defaultMaskedPaths, defaultReadonlyPaths } from './masked-paths.ts';
export { runtimeResources } from './resources.ts';
export { openPathInRoot, readTextInRoot } from './root-files.ts';
