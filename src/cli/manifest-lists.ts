import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDigest, type Descriptor } from '../spec/index.ts';
import type { Cli } from './cli.ts';

export interface ManifestDocument {
  config: Descriptor;
  layers: Descriptor[];
}

/** One image's manifest, in the form of docker's files. */
export interface ListedManifest {
  /** `docker.io/library/busybox:latest` */
  Ref: string;
  Descriptor: Descriptor;
  /** The manifest's bytes in base64. */
  Raw: string;
  /** The manifest, when it is Docker's. */
  SchemaV2Manifest?: ManifestDocument;
  /** The same when it is OCI's. */
  OCIManifest?: ManifestDocument;
}

/**
 * Lists of manifests being put together, in docker's directory and form: either client goes on with what the other began.
 * Lists and manifests are named by whole references.
 */
export class ManifestLists {
  readonly #root: string;

  constructor(cli: Cli) {
    this.#root = join(cli.configDir, 'manifests');
  }

  has(list: string): boolean {
    return existsSync(this.#path(list));
  }

  /** @throws when there is no such list */
  list(list: string): ListedManifest[] {
    if (!this.has(list)) throw noSuchManifest(list);
    const names = readdirSync(this.#path(list)).toSorted();
    return names.map((name) => read(join(this.#path(list), name)));
  }

  find(list: string, manifest: string): ListedManifest | undefined {
    const path = this.#path(list, manifest);
    return existsSync(path) ? read(path) : undefined;
  }

  save(list: string, manifest: string, value: ListedManifest): void {
    mkdirSync(this.#path(list), { recursive: true });
    writeFileSync(this.#path(list, manifest), JSON.stringify(value));
  }

  /** @throws when there is no such list */
  remove(list: string): void {
    if (!this.has(list)) throw noSuchManifest(list);
    rmSync(this.#path(list), { recursive: true });
  }

  #path(...references: string[]): string {
    const names = references.map((reference) => reference.replaceAll(':', '-').replaceAll('/', '_'));
    return join(this.#root, ...names);
  }
}

export function noSuchManifest(reference: string): Error {
  return new Error(`No such manifest: ${reference}`);
}

function read(path: string): ListedManifest {
  const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<ListedManifest>;
  // What clients older than docker 20 wrote has no bytes, and cannot be pushed as it was.
  if (!isDigest(value.Descriptor?.digest ?? '') || value.Raw === undefined)
    throw new Error(`invalid manifest file ${path}`);
  return value as ListedManifest;
}
