export {
  EngineError,
  ProcessError,
  SyscallError,
  errorMessage,
  isEngineError,
  isKind,
  type EngineErrorOptions,
  type ErrorKind,
} from './engine-error.ts';
