import { digestHex, familiarName, formatPlatform, parseReference, withDefaultTag } from '../../spec/index.ts';
import type { Digest, Platform } from '../../spec/index.ts';
import { withoutCredentials } from '../context/git-reference.ts';

/** By algorithm, in hexadecimal. */
export type DigestSet = Readonly<Record<string, string>>;

export interface Material {
  uri: string;
  digest: DigestSet;
}

/** What a build was made from, as its provenance tells: images, repositories and downloads with their digests. */
export class Materials {
  readonly #found = new Map<string, DigestSet>();

  /** Sorted, so that equal builds tell the same. */
  get all(): Material[] {
    return [...this.#found]
      .map(([uri, digest]) => ({ uri, digest }))
      .toSorted((a, b) => (a.uri < b.uri ? -1 : 1));
  }

  /** @param manifest what the name stands for */
  image(name: string, platform: Platform, manifest: Digest): void {
    this.#found.set(imageUrl(name, platform), { sha256: digestHex(manifest) });
  }

  /** @param commit of a git repository */
  repository(url: string, commit: string): void {
    this.#found.set(withoutCredentials(url), commitDigest(commit));
  }

  /** @param digest `sha256:<hex>` of what came */
  download(url: string, digest: string): void {
    this.#found.set(withoutCredentials(url), { sha256: digest.slice('sha256:'.length) });
  }
}

export function commitDigest(commit: string): DigestSet {
  return { [commit.length === 64 ? 'sha256' : 'sha1']: commit };
}

/** An image as a package URL: `pkg:docker/alpine@3.20?platform=linux%2Famd64`. */
export function imageUrl(name: string, platform: Platform): string {
  const where = encodeURIComponent(formatPlatform(platform));
  let path = name;
  let version = '';
  try {
    const reference = withDefaultTag(parseReference(name));
    path = familiarName(reference);
    version = `@${reference.tag ?? encodeURIComponent(reference.digest ?? '')}`;
  } catch {
    // An image by its id has no name.
  }
  const escaped = path.split('/').map((part) => encodeURIComponent(part).replaceAll('%3A', ':'));
  return `pkg:docker/${escaped.join('/')}${version}?platform=${where}`;
}
