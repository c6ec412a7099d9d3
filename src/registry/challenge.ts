/** A scheme of a `WWW-Authenticate` header (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  scheme: string;
  /** Names in lower case. */
  parameters: Readonly<Record<string, string>>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameter = new RegExp(`^\\s*(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))\\s*(?:,|$)?`);
const scheme = new RegExp(`^[\\s,]*(${token})(?:\\s+|,|$)`);

/** Reads one header, which may hold several challenges; what cannot be read ends it. */
export function parseChallenges(header: unknown): Challenge[] {
  const text = Array.isArray(header) ? header.join(', ') : header;
  if (typeof text !== 'string') return [];
  const challenges: Challenge[] = [];
  let rest = text;
  for (let found = scheme.exec(rest); found !== null; found = scheme.exec(rest)) {
    rest = rest.slice(found[0].length);
    const parameters: Record<string, string> = {};
    for (let pair = parameter.exec(rest); pair !== null; pair = parameter.exec(rest)) {
      parameters[(pair[1] ?? '').toLowerCase()] = pair[2]?.replaceAll(/\\(.)/g, '$1') ?? pair[3] ?? '';
      rest = rest.slice(pair[0].length);
    }
    challenges.push({ scheme: (found[1] ?? '').toLowerCase(), parameters });
    if (rest.trim() === '') break;
  }
  return challenges;
}
