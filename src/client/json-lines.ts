/** Parses a stream of JSON values, one after another with or without line ends between them. */
export async function* jsonValues<T>(body: AsyncIterable<Uint8Array>): AsyncGenerator<T, void, undefined> {
  const decoder = new TextDecoder();
  let text = '';
  let depth = 0;
  let inString = false;
  let escaped = false;
  let scanned = 0;
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let i = scanned; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (inString) {
        if (escaped) escaped = false;
        else if (c === 0x5c) escaped = true;
        else if (c === 0x22) inString = false;
      } else if (c === 0x22) inString = true;
      else if (c === 0x7b || c === 0x5b) depth++;
      else if (c === 0x7d || c === 0x5d) {
        depth--;
        if (depth === 0) {
          yield JSON.parse(text.slice(start, i + 1)) as T;
          start = i + 1;
        }
      }
    }
    text = text.slice(start);
    scanned = text.length;
  }
  if (text.trim() !== '') throw new Error('unexpected EOF');
}
