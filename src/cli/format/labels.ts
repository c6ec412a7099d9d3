import type { Method, Value } from '../template/index.ts';

/** Labels as `a=b,c=d`, sorted. */
export function labelText(labels: Readonly<Record<string, string>> | null | undefined): string {
  return Object.keys(labels ?? {})
    .toSorted()
    .map((name) => `${name}=${labels?.[name] ?? ''}`)
    .join(',');
}

/** The template method `.Label "name"`. */
export function labelMethod(labels: Readonly<Record<string, string>> | null | undefined): Method {
  return (name: Value) => labels?.[String(name)] ?? '';
}
