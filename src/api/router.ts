import type { Route } from './route.ts';

export interface RouteMatch {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
  /** `1.41` of a `/v1.41/…` path. */
  readonly askedVersion: string | undefined;
}

interface CompiledRoute {
  readonly route: Route;
  readonly pattern: RegExp;
  readonly names: readonly string[];
}

/**
 * Finds a request's route: fixed paths by one map look-up, the others among those with the same method and first
 * segment. Parameters match greedily and across slashes, as moby's `{name:.*}` (image names hold slashes).
 */
export class Router {
  readonly #fixed = new Map<string, Route>();
  readonly #patterns = new Map<string, CompiledRoute[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#add(route);
  }

  /** @param path without the query string, still percent-encoded. */
  find(method: string, path: string): RouteMatch | undefined {
    const versioned = /^\/v([0-9.]+)(\/.*)$/.exec(path);
    const askedVersion = versioned?.[1];
    const rest = versioned?.[2] ?? path;
    const fixed = this.#fixed.get(`${method} ${rest}`);
    if (fixed !== undefined) return { route: fixed, params: {}, askedVersion };
    for (const { route, pattern, names } of this.#patterns.get(bucket(method, rest)) ?? []) {
      const found = pattern.exec(rest);
      if (found === null) continue;
      const params: Record<string, string> = {};
      for (const [at, name] of names.entries()) params[name] = decode(found[at + 1] as string);
      return { route, params, askedVersion };
    }
    return undefined;
  }

  #add(route: Route): void {
    if (!route.path.includes('{')) {
      this.#fixed.set(`${route.method} ${route.path}`, route);
      return;
    }
    const names = [...route.path.matchAll(/\{(\w+)\}/g)].map((found) => found[1] as string);
    const pattern = new RegExp(`^${route.path.replace(/\{\w+\}/g, '(.+)')}$`);
    const key = bucket(route.method, route.path);
    const routes = this.#patterns.get(key) ?? [];
    routes.push({ route, pattern, names });
    // The longest pattern first: `/containers/{id}` must not take `/containers/x/checkpoints/y`.
    routes.sort((left, right) => right.route.path.length - left.route.path.length);
    this.#patterns.set(key, routes);
  }
}

function bucket(method: string, path: string): string {
  const slash = path.indexOf('/', 1);
  return `${method} ${slash < 0 ? path : path.slice(0, slash)}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
