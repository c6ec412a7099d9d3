import { EngineError } from '../errors/index.ts';

/**
 * A normalised image reference: `busybox` is `docker.io/library/busybox`, with a tag, a digest, both or neither.
 * Grammar and texts are those of the distribution project's reference package, which every Docker client and registry
 * follows, so that what one of them accepts the others accept.
 */
export interface Reference {
  /** `docker.io`, `localhost:5000`, `[::1]:5000` */
  domain: string;
  /** `library/busybox` */
  path: string;
  tag?: string;
  /** `sha256:<64 hex>`; sha384 and sha512 are well-formed too. */
  digest?: string;
}

const defaultDomain = 'docker.io';
const legacyDefaultDomain = 'index.docker.io';
const officialPrefix = 'library/';
const maxPathLength = 255;

const pathComponent = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const pathPattern = `${pathComponent}(?:/${pathComponent})*`;
const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const domainPattern = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const tagPattern = '[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}';
const digestPattern = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';

const referenceExpression = new RegExp(
  `^((?:${domainPattern}/)?${pathPattern})(?::(${tagPattern}))?(?:@(${digestPattern}))?$`,
);
const nameExpression = new RegExp(`^(?:(${domainPattern})/)?(${pathPattern})$`);
const tagExpression = new RegExp(`^${tagPattern}$`);
const identifierExpression = /^[a-f0-9]{64}$/;
const digestLengths: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message, { code: 'invalid-reference' });
}

/**
 * Parses what a user types: `busybox`, `example.org:5000/team/app:1.2@sha256:…`.
 * @throws {EngineError} `invalid-parameter` with Docker's text.
 */
export function parseReference(text: string): Reference {
  if (identifierExpression.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const [domain, remainder] = splitDomain(text);
  const colon = remainder.indexOf(':');
  const remote = colon === -1 ? remainder : remainder.slice(0, colon);
  if (remote.toLowerCase() !== remote) {
    throw invalid(`invalid reference format: repository name (${remote}) must be lowercase`);
  }
  return parseWhole(`${domain}/${remainder}`);
}

/** The first component is a domain only when it cannot be a name: it has a dot, a colon or an upper-case letter. */
function splitDomain(text: string): [domain: string, remainder: string] {
  const slash = text.indexOf('/');
  const first = slash === -1 ? '' : text.slice(0, slash);
  const isDomain = first === 'localhost' || /[.:]/.test(first) || first.toLowerCase() !== first;
  if (!isDomain) return [defaultDomain, slash === -1 ? officialPrefix + text : text];
  const remainder = text.slice(slash + 1);
  if (first !== defaultDomain && first !== legacyDefaultDomain) return [first, remainder];
  return [defaultDomain, remainder.includes('/') ? remainder : officialPrefix + remainder];
}

function parseWhole(text: string): Reference {
  const match = referenceExpression.exec(text);
  if (match === null) throw invalid('invalid reference format');
  const [, name = '', tag, digest] = match;
  const [, domain = '', path = name] = nameExpression.exec(name) ?? [];
  if (path.length > maxPathLength) {
    throw invalid(`repository name must not be more than ${maxPathLength} characters`);
  }
  if (digest !== undefined) checkDigest(digest);
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

function checkDigest(digest: string): void {
  const colon = digest.indexOf(':');
  const length = digestLengths[digest.slice(0, colon)];
  const encoded = digest.slice(colon + 1);
  if (length === undefined) throw invalid('unsupported digest algorithm');
  if (encoded.length !== length) throw invalid('invalid checksum digest length');
  if (!/^[0-9a-f]+$/.test(encoded)) throw invalid('invalid checksum digest format');
}

/** What an image can be asked for by: an id (64 hex, or `sha256:` and 64 hex), else a reference. */
export type AnyReference = { kind: 'digest'; digest: string } | { kind: 'named'; reference: Reference };

/** @throws {EngineError} `invalid-parameter` */
export function parseAnyReference(text: string): AnyReference {
  if (identifierExpression.test(text)) return { kind: 'digest', digest: `sha256:${text}` };
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return { kind: 'digest', digest: text };
  return { kind: 'named', reference: parseReference(text) };
}

/**
 * The same repository under a tag: at most 128 of `A-Za-z0-9_.-`, not beginning with `.` or `-`.
 * @throws {EngineError} `invalid-parameter` "invalid tag format"
 */
export function withTag(reference: Reference, tag: string): Reference {
  if (!tagExpression.test(tag)) throw invalid('invalid tag format');
  return { ...reference, tag };
}

/** `docker.io/library/busybox` */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** `busybox`; the name as Docker prints it. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== defaultDomain) return repositoryName(reference);
  const short = reference.path.startsWith(officialPrefix)
    ? reference.path.slice(officialPrefix.length)
    : reference.path;
  return short.includes('/') ? reference.path : short;
}

/** `docker.io/library/busybox:latest` */
export function formatReference(reference: Reference): string {
  return repositoryName(reference) + suffix(reference);
}

/** `busybox:latest` */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}

/** With tag `latest` when it has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return { ...reference, tag: 'latest' };
}
