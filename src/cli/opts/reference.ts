const host =
  '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\\[[a-fA-F0-9:]+\\]';
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const grammar = new RegExp(
  `^((?:(?:${host})(?::[0-9]+)?/)?${component}(?:/${component})*)(?::([\\w][\\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`,
);

/** A repository name with an optional tag and digest, in the short form people write. */
export interface Reference {
  /** `busybox`, `registry.example/team/app`. */
  name: string;
  /** `docker.io`, `registry.example`. */
  domain: string;
  tag: string;
  digest: string;
}

function splitDomain(text: string): [string, string] {
  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(slash, 0));
  const isDomain =
    slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first);
  let domain = isDomain ? first : 'docker.io';
  let rest = isDomain ? text.slice(slash + 1) : text;
  if (domain === 'index.docker.io') domain = 'docker.io';
  if (domain === 'docker.io' && !rest.includes('/')) rest = `library/${rest}`;
  return [domain, rest];
}

/** Parses what names an image. Null for an id or a bare digest, which is no name. @throws "invalid reference format…" */
export function parseReference(text: string): Reference | null {
  if (/^[a-f0-9]{64}$/.test(text) || /^sha256:[a-f0-9]{64}$/.test(text)) return null;
  const [domain, rest] = splitDomain(text);
  const path = rest.split(/[:@]/, 1)[0] ?? '';
  if (path.toLowerCase() !== path) {
    throw new Error(`invalid reference format: repository name (${path}) must be lowercase`);
  }
  const match = grammar.exec(`${domain}/${rest}`);
  if (match === null) throw new Error('invalid reference format');
  const full = match[1] ?? '';
  if (full.length - domain.length - 1 > 255)
    throw new Error('repository name must not be more than 255 characters');
  const name = full.replace(/^docker\.io\/(library\/)?/, '');
  return { name, domain, tag: match[2] ?? '', digest: match[3] ?? '' };
}

/** The reference as text; without tag and digest it means `latest`. */
export function familiar(reference: Reference): string {
  const tag = reference.tag || (reference.digest ? '' : 'latest');
  return reference.name + (tag && `:${tag}`) + (reference.digest && `@${reference.digest}`);
}

/** The name with its registry and namespace spelled out: `docker.io/library/busybox`. */
export function fullName({ name, domain }: Reference): string {
  if (domain !== 'docker.io') return name;
  return `docker.io/${name.includes('/') ? '' : 'library/'}${name}`;
}
