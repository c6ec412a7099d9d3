import type { Duplex } from 'node:stream';
import type { ImageForm, ImageProgress } from '../images/index.ts';
import type { RegistryCredentials } from '../registry/index.ts';
import type { Descriptor, Digest, Ulimit } from '../spec/index.ts';
import type { LintResults } from './dockerfile/lint/results.ts';
import type { Outline, TargetList } from './dockerfile/outline.ts';
import type { ProvenanceOptions } from './export/provenance.ts';
import type { SolveStatus } from './progress/trace.ts';
import type { CacheOption } from './remote-cache/options.ts';

export type { CacheOption };

/** One object of the version 1 stream, as `POST /build` sends it. */
export interface BuildMessage extends Omit<ImageProgress, 'aux'> {
  aux?: { ID: string };
}

/** An SSH agent that steps may speak to. */
export interface SshAgent {
  /** A new connection to it; the caller closes it. */
  connect(): Promise<Duplex>;
}

/** Limits of RUN steps; what is absent is not limited. */
export interface BuildLimits {
  /** Bytes. */
  memoryBytes?: number;
  /** Memory plus swap, bytes; -1 unlimited. */
  memorySwapBytes?: number;
  cpuShares?: number;
  /** Microseconds. */
  cpuPeriod?: number;
  /** Microseconds. */
  cpuQuota?: number;
  cpusetCpus?: string;
  cpusetMems?: string;
  shmSizeBytes?: number;
  ulimits?: readonly Ulimit[];
}

/**
 * What a name stands for in FROM, `--from` and `from=` of mounts instead of an image or a stage: an image, a git repository
 * or tar by its URL, or a directory among what was sent along with the context.
 */
export type NamedContext =
  { kind: 'image'; name: string } | { kind: 'remote'; url: string } | { kind: 'sent'; number: number };

/** Something that is said of an image where its manifest, or the index of its platforms, is written. */
export interface Annotation {
  /** Of which document; `…-descriptor`: where another one names it. */
  kind: 'manifest' | 'manifest-descriptor' | 'index' | 'index-descriptor';
  /** Only for that of the platforms. */
  platform?: string;
  key: string;
  value: string;
}

/**
 * One thing to make of what was built. A manifest is written when there are several platforms, provenance, annotations or a
 * form; otherwise the image has its names and no manifest until it is pushed or saved, as in Docker's classic store.
 */
export interface ImageExport {
  names: readonly string[];
  /** To the registries of its names. */
  push?: boolean;
  /** What is absent: gzip, OCI's media types. */
  form?: Partial<ImageForm>;
  annotations?: readonly Annotation[];
}

export interface BuildResult {
  /** Of the first platform. */
  imageId: Digest;
  /** As the request has the platforms in order. */
  images: readonly { platform: string; id: Digest }[];
  /**
   * What names stand for: those of `tags`, if there are some, then of each of `exports`; null where no manifest was written.
   * Of provenance without either, the one index that holds it.
   */
  targets: readonly (Descriptor | null)[];
}

/** What can be asked about a Dockerfile without building it. */
export type BuildQuestion = 'check' | 'outline' | 'targets';

export type BuildAnswer = LintResults | Outline | TargetList;

export interface BuildRequest {
  /** A tar of any compression, or a lone Dockerfile. Not needed with `remote`. */
  context?: AsyncIterable<Uint8Array>;
  /** A git repository, or a tar or Dockerfile by its URL, to be used as the context. */
  remote?: string;
  /** `context` holds a directory `.coracle-build-parts` with things that are no part of the context. */
  hasParts?: boolean;
  /** By name. */
  namedContexts?: ReadonlyMap<string, NamedContext>;
  /** Path of the Dockerfile in the context; '' for `Dockerfile`. */
  dockerfile?: string;
  /** Names the image gets, `name` or `name:tag`. */
  tags?: readonly string[];
  /** What else becomes of it. */
  exports?: readonly ImageExport[];
  /** Said of the image, in its index. */
  provenance?: ProvenanceOptions;
  /** Null: the argument is declared without a value. */
  buildArgs?: Readonly<Record<string, string | null>>;
  labels?: Readonly<Record<string, string>>;
  /** Name or number of the stage to build; '' for the last. */
  target?: string;
  /** `os/architecture[/variant]`, several with commas between them; '' for this machine's. */
  platform?: string;
  noCache?: boolean;
  /** Stages, by name, that are made anew. */
  noCacheFilter?: readonly string[];
  /** Caches that are looked up besides what is known: of registries (also an image with an inline cache) and directories. */
  cacheFrom?: readonly (string | CacheOption)[];
  /** Where what the build knows is kept, for others to find it: registries, directories, the image itself. */
  cacheTo?: readonly CacheOption[];
  /**
   * Takes a cache for a directory that is not on the engine's machine, as the tar of an OCI image layout. Without it directories
   * are the engine's own.
   */
  receiveCache?: (directory: string, layout: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<void>;
  /** Fetch base images even when they are here. */
  pull?: boolean;
  /** Show nothing but the image's id. */
  quiet?: boolean;
  /** Say that the containers of RUN steps are removed; they are in any case. */
  removesContainers?: boolean;
  /** All new layers become one, above those of the base image. */
  squash?: boolean;
  /** With the build argument SOURCE_DATE_EPOCH: no new file is later than that. The image's own times are that in any case. */
  rewriteTimestamps?: boolean;
  /** For RUN: `default`, `bridge`, `none`, `host` or a network's name. */
  networkMode?: string;
  /** What RUN steps may ask for: `network.host`, `security.insecure`, `device`, `device=NAME`. See Entitlements. */
  allow?: readonly string[];
  /** `name:address`. */
  extraHosts?: readonly string[];
  cgroupParent?: string;
  limits?: BuildLimits;
  /** Contents by id, for `RUN --mount=type=secret`; never stored. */
  secrets?: ReadonlyMap<string, Uint8Array>;
  /** Agents by id, for `RUN --mount=type=ssh`. */
  ssh?: ReadonlyMap<string, SshAgent>;
  /** What to show a registry (`docker.io`, `example.com:5000`) when a base image is fetched. */
  credentials?: (registry: string) => RegistryCredentials | undefined;
  /** For cancel(). */
  buildId?: string;
  signal?: AbortSignal;
  onMessage?: (message: BuildMessage) => void;
  /** What happens step by step, in BuildKit's terms. */
  onStatus?: (status: SolveStatus) => void;
}

/** A record of the cache: a step that was done, or the directory of a cache mount. */
export interface CacheUsage {
  /** 25 letters and digits. */
  id: string;
  /** Ids of the records that it was made on. */
  parents: string[];
  kind: 'regular' | 'exec.cachemount';
  description: string;
  /** A build works on it now. */
  isInUse: boolean;
  /** An image has its files as well. */
  isShared: boolean;
  /** Of the blocks that its own files and their blob take on disk. */
  sizeBytes: number;
  /** Since the epoch. */
  createdAtMs: number;
  /** Since the epoch. */
  lastUsedAtMs: number;
  uses: number;
}

/** How much of the cache is kept; without any of these nothing is. */
export interface CacheSpace {
  /** Keep this much in any case. */
  reservedBytes?: number;
  /** Stop when no more than this is used. */
  maxUsedBytes?: number;
  /** Stop when the disk has this much free. */
  minFreeBytes?: number;
}

/** What to remove from the cache. */
export interface CachePrune extends CacheSpace {
  /** Also what images have the files of. */
  all: boolean;
  /** Only what was last used before this moment, ms since the epoch. */
  unusedSinceMs?: number;
  matches?: (record: CacheUsage) => boolean;
}

/** What is removed again and again, without being asked. */
export interface CacheRule extends Omit<CachePrune, 'unusedSinceMs'> {
  /** Only what was not used for so long. */
  unusedForMs?: number;
}

/** `rules`, one after the other, or those that there are by default, with this space instead of shares of the disk. */
export type CacheGcOptions =
  { rules: readonly CacheRule[]; space?: never } | { space: CacheSpace; rules?: never };

/**
 * Builds images from Dockerfiles. What a step gave is found again by what it was made from: the same instruction on the same
 * content is not run twice.
 */
export interface Builder {
  /** Removes what a crash left of builds; after the containers are restored. */
  open(): Promise<void>;
  /**
   * @throws {EngineError} `invalid-parameter` for a wrong Dockerfile or request; `internal` with `details.exitCode` when a
   *   RUN step fails; `cancelled`. Steps that were finished stay in the cache.
   */
  build(request: BuildRequest): Promise<BuildResult>;
  /**
   * What a Dockerfile's checks find, what a target can be given, or which targets there are; nothing is built.
   * @throws {EngineError} as build(); for `check` what is wrong with the file is part of the answer
   */
  ask(request: BuildRequest, question: BuildQuestion): Promise<BuildAnswer>;
  /**
   * All files of an image as one tar.
   * @param options.epochSeconds no time in it is later than this
   * @throws {EngineError} `not-found`
   */
  files(image: string, options: { epochSeconds?: number; signal?: AbortSignal }): AsyncIterable<Uint8Array>;
  /** Ends a build of this id; no error when there is none. */
  cancel(buildId: string): void;
  /** Whether the cache holds a step, by the digest that caches elsewhere have for it. */
  knows(step: Digest): boolean;
  /** What the cache holds, the longest unused first. */
  cacheUsage(): Promise<CacheUsage[]>;
  /** Forgets what earlier builds made. Ids of the records removed. */
  prune(options: CachePrune): Promise<{ ids: string[]; spaceReclaimedBytes: number }>;
  close(): Promise<void>;
}
