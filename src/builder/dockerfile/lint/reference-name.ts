import { parseReference } from '../../../spec/index.ts';

/** Whether a text can name an image. */
export function isReferenceName(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch {
    return false;
  }
}
