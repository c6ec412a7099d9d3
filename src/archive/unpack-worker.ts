/** The thread of LayerUnpacker: unpacks one layer for each message and answers with the result or the error. */
import { parentPort } from 'node:worker_threads';
import { errorMessage, isEngineError } from '../errors/index.ts';
import { linuxSyscall } from '../sys/index.ts';
import type { WorkerReply } from './layer-unpacker.ts';
import { unpackLayer, type UnpackRequest } from './unpack/unpack-layer.ts';

const port = parentPort;
if (port === null) throw new Error('unpack-worker runs in a worker thread only');
const syscall = linuxSyscall();

async function reply(request: UnpackRequest): Promise<WorkerReply> {
  try {
    return { kind: 'done', result: await unpackLayer(request, syscall) };
  } catch (error) {
    if (!isEngineError(error)) {
      const code = (error as { code?: unknown }).code;
      return {
        kind: 'failed',
        error: {
          kind: 'internal',
          message: errorMessage(error),
          code: typeof code === 'string' ? code : 'internal',
        },
      };
    }
    return { kind: 'failed', error: { kind: error.kind, message: error.message, code: error.code } };
  }
}

port.on('message', (request: UnpackRequest) => {
  void reply(request).then((message) => port.postMessage(message));
});
