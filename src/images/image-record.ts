import type { Descriptor, Digest } from '../spec/index.ts';

export interface LayerRecord {
  /** The layer as it came, compressed or not. */
  blob: Descriptor;
  /** Bytes of the uncompressed tar, which `save` writes. */
  tarSizeBytes: number;
  /** Bytes of the files in it. */
  sizeBytes: number;
}

/** An index as it came, and what of it is kept besides the manifests of images. */
export interface IndexRecord extends Descriptor {
  /** Indexes in it, and attestations with all that they name. */
  kept?: Descriptor[];
}

/** What a reference stands for. */
export interface Naming {
  /** Images of several platforms when the reference stands for an index; the one for this machine first. */
  ids: Digest[];
  index?: Digest;
}

/** What is durable of an image besides its config, which is a blob. */
export interface ImageRecord {
  /** Bottom first, one for each of the config's diff ids. */
  layers: LayerRecord[];
  /** The manifest it came with, whose layers are the blobs above; null when it came without. */
  manifest: Descriptor | null;
  /** The indexes that name the manifest, kept as they came. */
  indexes?: IndexRecord[];
  parent: string;
  lastTaggedAtMs: number | null;
  /**
   * Set when the image has been removed while stopped containers used it: their ids. It is no longer seen, and its
   * layers go when the last of them goes. A tree, which is no image, is held by `treeHolder` for as long as it is wanted.
   */
  heldBy?: string[];
}
