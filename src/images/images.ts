import type { RegistryCredentials } from '../registry/index.ts';
import type { ChainId, Descriptor, Digest, ImageConfig, ImageRunConfig, Platform } from '../spec/index.ts';
import type { Trees } from './trees.ts';

/** One image of one platform as this engine runs it. `id` is the digest of its config, as in Docker's classic store. */
export interface Image {
  id: Digest;
  config: ImageConfig;
  /** The config's exact bytes, so that the id stays what it is. */
  manifest: Descriptor | null;
  /** Familiar references `busybox:latest`; sorted. */
  tags: string[];
  /** `busybox@sha256:…` */
  digests: string[];
  /** Sum of the uncompressed layers. */
  sizeBytes: number;
  /** Id of the image this one was committed or built from here, or ''. */
  parent: string;
  lastTaggedAtMs: number | null;
  /** Top chain id; null for an image without layers. */
  chainId: ChainId | null;
}

/** One manifest of an image: a platform of it, or what lies beside the platforms. */
export interface ImageVariant {
  /** `unknown`: not for running, and not an attestation that says of what. */
  kind: 'image' | 'attestation' | 'unknown';
  /** As the index names it. */
  descriptor: Descriptor;
  /** All of it is here. */
  isAvailable: boolean;
  /** Of the blobs that are here. */
  contentBytes: number;
  /** Of an image. */
  unpackedBytes?: number;
  platform?: Platform;
  /** Of an image that is here. */
  id?: Digest;
  /** Digest of the manifest that an attestation is about. */
  subject?: string;
}

/** What somebody states of an image, in-toto's way. */
export interface AttestationStatement {
  descriptor: Descriptor;
  /** A URI. */
  predicateType: string;
  /** JSON, where it was asked for. */
  statement?: unknown;
}

/** How images are written down for registries and archives. */
export interface ImageForm {
  /** Of layers that are here uncompressed. */
  compression: 'uncompressed' | 'gzip' | 'zstd';
  /** The compressor's own; its default when absent. */
  compressionLevel?: number;
  /** Of layers that came compressed, too. */
  forceCompression?: boolean;
  mediaTypes: 'oci' | 'docker';
}

/** An image that is here, and what is to be said of it. */
export interface ComposedImage {
  id: Digest;
  /** Of its manifest. */
  annotations: Readonly<Record<string, string>>;
  /** Where an index names its manifest. */
  descriptorAnnotations: Readonly<Record<string, string>>;
  /** In-toto's: each about the image's manifest. */
  statements: readonly { predicateType: string; predicate: object }[];
  /** What statements call it: package URLs. */
  names: readonly string[];
}

export interface Composition {
  images: readonly ComposedImage[];
  form: ImageForm;
  /** For one image about which nothing is stated there is no index. */
  indexAnnotations: Readonly<Record<string, string>>;
  /** Names of the whole. */
  references: readonly string[];
  signal?: AbortSignal;
}

/** Progress as Docker streams it for load, pull and import. */
export interface ImageProgress {
  id?: string;
  status?: string;
  stream?: string;
  progressDetail?: { current?: number; total?: number };
  /** The bar that Docker draws for clients that only print text. */
  progress?: string;
  aux?: unknown;
}

export interface RemovedImage {
  kind: 'untagged' | 'deleted';
  reference: string;
}

/**
 * A config with `--change` instructions applied, as in a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD,
 * STOPSIGNAL, USER, VOLUME and WORKDIR. The config given is not changed.
 * @throws {EngineError} `invalid-parameter` with Docker's text
 */
export type ApplyChanges = (config: ImageRunConfig, changes: readonly string[]) => ImageRunConfig;

export interface Images {
  /** Stacks of layers that belong to no image. */
  readonly trees: Trees;
  open(): Promise<void>;
  list(): Image[];
  /**
   * By reference, id, or unique id prefix; of several platforms this machine's when it is there, or the one asked for.
   * @throws {EngineError} `not-found` "No such image: x", "image with reference x was found but does not provide …"
   */
  get(nameOrId: string, platform?: Platform): Image;
  has(nameOrId: string, platform?: Platform): boolean;
  /** By id, also one that was removed by force and lives on for the containers that were made from it. */
  ofContainer(id: string): Image | undefined;
  /** The manifest of such an image, with its platform. */
  manifestOf(id: string): Descriptor | undefined;
  /**
   * The index or manifest that a name stands for; with `platform` the manifest of that one. An image that came without a
   * manifest has the one that save() writes.
   */
  target(nameOrId: string, platform?: Platform): Descriptor;
  /** Each manifest reachable from the target, here or not. */
  variants(nameOrId: string): Promise<ImageVariant[]>;
  /**
   * Statements about an image that are here, of the predicate types given or all.
   * @throws {EngineError} `not-found`, also for a platform that is not here
   */
  attestations(
    nameOrId: string,
    options: { platform?: Platform; types: readonly string[]; withStatement: boolean },
  ): Promise<AttestationStatement[]>;
  /** Ids of the images here that a name stands for, this machine's platform first; none when it stands for nothing. */
  platforms(nameOrId: string): Digest[];
  /** An empty tag means the one in `repository`, else `latest`. */
  tag(nameOrId: string, repository: string, tag: string): Promise<void>;
  /**
   * Docker's rules: untags; deletes when last; `conflict` when used by `usedBy`'s containers unless forced. With
   * `platforms` only those of an image for several go, which needs `force`.
   */
  remove(
    nameOrId: string,
    options: {
      force: boolean;
      prune: boolean;
      platforms?: readonly Platform[];
      usedBy: (imageId: Digest) => { id: string; running: boolean }[];
    },
  ): Promise<RemovedImage[]>;
  /**
   * Removes images without tags and children (`dangling`), or all, that match and that no container uses.
   * `spaceReclaimedBytes` counts the layers that went.
   */
  prune(options: {
    dangling: boolean;
    matches: (image: Image) => boolean;
    usedBy: (imageId: Digest) => { id: string; running: boolean }[];
  }): Promise<{ removed: RemovedImage[]; spaceReclaimedBytes: number }>;
  /** Removes images that nothing uses, as far as the policy asks for it. */
  collect(options: ImageCollection): Promise<{ removed: RemovedImage[]; spaceReclaimedBytes: number }>;
  /** By the lengths of the layers' files; shared: layers that other images have too. */
  diskUsage(): { layersSizeBytes: number; images: { image: Image; sharedSizeBytes: number }[] };
  /** For `system df`: by the blocks really used, of blobs and layers; `ids` are an image's platforms. */
  diskBlocks(): Promise<{
    totalBytes: number;
    images: { image: Image; ids: Digest[]; sizeBytes: number; sharedBytes: number }[];
  }>;
  /**
   * docker-archive or OCI layout; tar plain, gzip or zstd. Of an index everything that the archive has of it, or with
   * `platforms` only those. Returns the names loaded.
   */
  load(
    archive: AsyncIterable<Uint8Array>,
    options: {
      onProgress?: (progress: ImageProgress) => void;
      signal?: AbortSignal;
      platforms?: readonly Platform[];
    },
  ): Promise<{ ids: Digest[]; tags: string[] }>;
  /**
   * Dual layout (docker-archive and OCI), several images, streamed.
   * @throws {EngineError} `not-found` also for a platform of `platforms`
   */
  save(
    names: readonly string[],
    options: { signal?: AbortSignal; platforms?: readonly Platform[] },
  ): AsyncIterable<Uint8Array>;
  /** One tar as one layer. */
  import(
    archive: AsyncIterable<Uint8Array>,
    options: {
      reference?: string;
      message?: string;
      changes?: readonly string[];
      platform?: Platform;
      signal?: AbortSignal;
      source?: string;
    },
  ): Promise<Image>;
  /**
   * A layer tar on top of an image, with a new config, whose `rootfs` is filled in here: commit. A tar of nothing adds no
   * layer, which the last step of the history says then.
   */
  createFromLayer(request: {
    parent: Image | null;
    /** Null: configuration only. */
    layer: AsyncIterable<Uint8Array> | null;
    /**
     * Moves the same layer's files, in overlay form, into an empty directory: spares unpacking it. False when they cannot
     * be moved.
     */
    place?: (directory: string) => Promise<boolean>;
    config: ImageConfig;
    reference?: string;
  }): Promise<Image>;
  /**
   * Writes images that are here as manifests, and as one index when there are several of them or something is stated about
   * them. What comes of it is pushed and saved under the names as it is.
   * @throws {EngineError} `invalid-parameter` for a form that there is not
   */
  compose(composition: Composition): Promise<Descriptor>;
  /** Base images on a machine with no registry: `busybox` (Debian's busybox-static), `debian:<suite>` (mmdebstrap). */
  bootstrap(
    name: string,
    options: { onProgress?: (text: string) => void; signal?: AbortSignal },
  ): Promise<Image>;
  /** With `platform`: of the image that runs there. */
  history(
    nameOrId: string,
    platform?: Platform,
  ): { id: string; created: number; createdBy: string; tags: string[]; sizeBytes: number; comment: string }[];
  /**
   * Fetches an image from its registry. A reference without tag means `latest`, with `allTags` all of the repository's.
   * @throws {EngineError} with Docker's texts: `not-found`, `pull access denied for x, …`, `manifest for x not found: …`
   */
  pull(reference: string, options: PullOptions): Promise<void>;
  /**
   * Sends an image to its registry under the manifest it came with, or one made for it. A reference without tag means
   * `latest`, with `allTags` all tags that are here.
   */
  push(reference: string, options: PushOptions): Promise<void>;
}

/** Which unused images go, and when enough of them have. Without `keepBytes` and `waterMarks`: all that it lets go. */
export interface ImageGcPolicy {
  /** Enough is when all images take no more than this on disk. */
  keepBytes?: number;
  /** Begins when the file system is this full, and then goes on to the lower mark. */
  waterMarks?: { highPercent: number; lowPercent: number };
  /** Only images that were not pulled, loaded, built, tagged or used by a container for so long. */
  unusedForMs: number;
  /** Only images with all of these, `key` or `key=value`. */
  labels: readonly string[];
  /** Not images with one of these. */
  exceptLabels: readonly string[];
}

export interface ImageCollection {
  policy: ImageGcPolicy;
  usedBy: (imageId: Digest) => { id: string; running: boolean }[];
  /** Of the file system that images are on. */
  fileSystem: () => Promise<{ usedBytes: number; totalBytes: number }>;
}

export interface PullOptions {
  allTags?: boolean;
  /** Of an image for several. Default of a pull: this machine's; of a push: all, if they are to be had. */
  platform?: Platform;
  credentials?: RegistryCredentials;
  onProgress?: (progress: ImageProgress) => void;
  signal?: AbortSignal;
}

export type PushOptions = PullOptions;
