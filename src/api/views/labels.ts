/** Docker's `label` filter: every `key` or `key=value` must be there. */
export function matchesLabels(
  labels: Readonly<Record<string, string>> | null | undefined,
  wanted: readonly string[],
): boolean {
  return wanted.every((given) => {
    const equals = given.indexOf('=');
    const key = equals < 0 ? given : given.slice(0, equals);
    if (labels === null || labels === undefined || !Object.hasOwn(labels, key)) return false;
    return equals < 0 || labels[key] === given.slice(equals + 1);
  });
}
