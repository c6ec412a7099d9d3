import type { Readable } from 'node:stream';
import { EngineError } from '../errors/index.ts';

/** Reads a body that must be small. @throws {EngineError} `data-loss` beyond the limit */
export async function readBytes(body: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) {
      throw new EngineError('data-loss', `the registry's answer is longer than ${maxBytes} bytes`, {
        code: 'answer-too-large',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

export async function readText(body: Readable, maxBytes: number): Promise<string> {
  return (await readBytes(body, maxBytes)).toString('utf8');
}
