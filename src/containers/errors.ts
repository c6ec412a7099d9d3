import { EngineError } from '../errors/index.ts';

/** The texts that Docker's clients match. @see moby daemon/errors.go */
export function noSuchContainer(nameOrId: string): EngineError {
  return new EngineError('not-found', `No such container: ${nameOrId}`, { code: 'no-such-container' });
}

export function noSuchExec(id: string): EngineError {
  return new EngineError('not-found', `No such exec instance: ${id}`, { code: 'no-such-exec' });
}

export function notRunning(id: string): EngineError {
  return new EngineError('conflict', `Container ${id} is not running`, { code: 'not-running' });
}

export function isRestarting(id: string): EngineError {
  return new EngineError('conflict', `Container ${id} is restarting, wait until the container is running`, {
    code: 'restarting',
  });
}

export function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
