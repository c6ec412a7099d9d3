import { EngineError, isEngineError } from '../errors/index.ts';
import type { RegistryCredentials } from './credentials.ts';
import type { Host } from './hosts.ts';
import { parseReference } from '../spec/index.ts';
import { readText } from './read-body.ts';
import { registryError } from './registry-error.ts';
import type { Transport } from './transport.ts';

const maxAnswerBytes = 4 * 1024 * 1024;

/** One repository that a search found, as registries write it. */
export interface SearchResult {
  name: string;
  description: string;
  star_count: number;
  is_official: boolean;
  is_automated: boolean;
}

/**
 * `example.org/thing` asks that registry for `thing`; `thing` the default one.
 * @throws {EngineError} `invalid-parameter` for a URL
 */
export function splitTerm(term: string): { domain: string; rest: string } {
  if (term.includes('://')) {
    throw new EngineError(
      'invalid-parameter',
      `invalid repository name: repository name (${term}) should not have a scheme`,
    );
  }
  const slash = term.indexOf('/');
  const first = slash === -1 ? '' : term.slice(0, slash);
  const { domain: defaultDomain } = parseReference('x');
  const isNamed = first === 'localhost' || /[.:]/.test(first);
  const domain = isNamed ? parseReference(`${first}/x/x`).domain : defaultDomain;
  const rest = isNamed ? term.slice(slash + 1) : term;
  return { domain, rest: domain === defaultDomain ? rest.replace(/^library\//, '') : rest };
}

export async function search(
  transport: Transport,
  hosts: readonly Host[],
  query: { term: string; limit: number; credentials: RegistryCredentials },
  signal?: AbortSignal,
): Promise<SearchResult[]> {
  const { username, password } = query.credentials;
  let last: unknown;
  for (const host of hosts) {
    const url = new URL('../v1/search', host.base);
    url.searchParams.set('q', query.term);
    url.searchParams.set('n', String(query.limit));
    try {
      const response = await transport.send({
        method: 'GET',
        url,
        tls: host.tls,
        headers:
          username === undefined
            ? {}
            : {
                Authorization: `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`,
              },
        ...(signal === undefined ? {} : { signal }),
      });
      const text = await readText(response.body, maxAnswerBytes);
      if (response.status >= 400) {
        throw new EngineError('internal', `Unexpected status code ${response.status}`, {
          cause: registryError(response, text),
        });
      }
      return parseResults(text);
    } catch (error) {
      signal?.throwIfAborted();
      last = error;
      // It answered: another scheme would too.
      if (isEngineError(error) && error.kind === 'internal') throw error;
    }
  }
  throw last;
}

function parseResults(text: string): SearchResult[] {
  const { results } = JSON.parse(text) as { results?: Partial<SearchResult>[] };
  return (Array.isArray(results) ? results : []).map((result) => ({
    star_count: Number(result.star_count ?? 0),
    is_official: result.is_official === true,
    name: String(result.name ?? ''),
    // Not to be trusted any more, as Docker has it.
    is_automated: false,
    description: String(result.description ?? ''),
  }));
}
