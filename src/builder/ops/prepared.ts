import type { LayerStack, Tree } from '../../images/index.ts';
import type { JobContext } from '../solver/jobs.ts';
import type { CopySource } from './copy-sources.ts';

/** What a vertex gives. */
export type Result =
  /** Layers; null is the empty tree. */
  | {
      kind: 'tree';
      stack: LayerStack | null;
      /** Tells what it was made by and what it became: whoever works on it depends on both. */
      identity: string;
      /** Not made by this build. */
      isCached: boolean;
      /** How many of the layers are the vertex's own: none when it changed no file. */
      ownLayers: number;
      createdAtMs: number;
      /** What was copied, as history shows it: `file:<digest>`; '' for other operations. */
      source: string;
    }
  /** A directory that is no tree: a context. */
  | { kind: 'directory'; path: string }
  /** A file or directory that was fetched. `identity` tells its content; undefined: it has to be read for that. */
  | { kind: 'fetched'; source: CopySource; identity: string | undefined };

export type TreeResult = Extract<Result, { kind: 'tree' }>;

/** A new layer: its changes as a tar, read once, and the way to take over its files. */
export interface NewLayer extends AsyncDisposable {
  tar: AsyncIterable<Uint8Array>;
  /** Moves the files that the tar was made of; see Images.createFromLayer(). */
  place?: (directory: string) => Promise<boolean>;
}

/** An operation whose inputs are there: what it depends on, and how it is done. */
export interface PreparedOperation {
  /**
   * All that it depends on besides the first input's tree, told without reading any content; undefined when that cannot be
   * told.
   */
  quick: readonly string[] | undefined;
  /** The same by content: what gives the same texts gives the same files. */
  exact: () => Exact;
  /** A layer to put on the first input's tree, or a tree. */
  run: (job: JobContext) => Promise<{ layer: NewLayer } | { tree: Tree; ownLayers: number }>;
}

export interface Exact {
  texts: readonly string[];
  /** See TreeResult. */
  source: string;
}
