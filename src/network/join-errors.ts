/** Several complaints in one text, as dockerd lists them; one stands alone. */
export function joinErrors(texts: readonly string[]): string {
  const [only] = texts;
  if (only !== undefined && texts.length === 1) return only;
  return texts.map((text) => `* ${text.replaceAll('\n', '\n\t')}`).join('\n');
}
