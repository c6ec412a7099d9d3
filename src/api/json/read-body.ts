import type { IncomingMessage } from 'node:http';
import { EngineError } from '../../errors/index.ts';
import type { Exchange } from '../exchange.ts';
import { JsonTypeError, type Schema } from './schema.ts';

/** Larger JSON bodies are refused; Docker has no limit, but no request of a real client comes near. */
const maximumBodyBytes = 16 * 1024 * 1024;

export interface ReadBodyOptions {
  /** An empty body is the zero value (most endpoints) or an error (create). */
  empty: 'zero' | 'error';
}

/**
 * Reads and decodes a JSON request body.
 * @throws {EngineError} `invalid-parameter` with Docker's text for a wrong Content-Type, bad JSON or a wrong type.
 */
export async function readBody<T>(
  { request, body }: Pick<Exchange, 'request' | 'body'>,
  schema: Schema<T>,
  options: ReadBodyOptions,
): Promise<T> {
  checkContentType(request);
  const text = await readText(body);
  if (text.trim() === '') {
    if (options.empty === 'zero' && text === '') return schema.zero();
    throw invalid('invalid JSON: got EOF while reading request body');
  }
  const value = parse(text);
  if (value === null) return schema.zero();
  try {
    return schema.decode(value, { struct: '', path: '' });
  } catch (error) {
    if (error instanceof JsonTypeError) throw invalid(`invalid JSON: ${error.message}`, error);
    throw error;
  }
}

function checkContentType(request: IncomingMessage): void {
  const header = request.headers['content-type'] ?? '';
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  if (header === '' && !hasBody) return;
  if (header === '') throw invalid('malformed Content-Type header (): mime: no media type');
  const mediaType = (header.split(';')[0] as string).trim().toLowerCase();
  if (mediaType !== 'application/json') {
    throw invalid(`unsupported Content-Type header (${header}): must be 'application/json'`);
  }
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maximumBodyBytes) throw invalid('request body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw invalid(`invalid JSON: ${goSyntaxError(text, error)}`, error);
  }
}

/** Go's wording for the commonest syntax errors; the rest keep the parser's own. */
export function goSyntaxError(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const position = /at position (\d+)/.exec(message)?.[1];
  if (/Unexpected end|Unterminated/.test(message) || Number(position) >= text.length) return 'unexpected EOF';
  if (/after JSON/.test(message)) return 'unexpected content after JSON';
  const token = /^Unexpected token '(.)'/u.exec(message)?.[1];
  // Of a short text the parser does not tell the position.
  if (position === undefined && token !== undefined && text.trimStart().startsWith(token)) {
    return `invalid character '${token}' looking for beginning of value`;
  }
  const character = position === undefined ? undefined : text[Number(position)];
  if (character === undefined) return message;
  if (text.slice(0, Number(position)).trim() === '') {
    return `invalid character '${character}' looking for beginning of value`;
  }
  return `invalid character '${character}' at offset ${Number(position) + 1}`;
}

function invalid(message: string, cause?: unknown): EngineError {
  return new EngineError('invalid-parameter', message, cause === undefined ? {} : { cause });
}
