import type { Digest } from '../../spec/index.ts';
import type { RunDevice } from '../dockerfile/instructions/instruction.ts';
import type { StepMount } from '../ops/run-mounts.ts';

/**
 * The graph that a front end compiles to, with the meanings of BuildKit's LLB: a vertex is an operation on the file trees
 * that other vertices give. What an image says besides its files (ENV, CMD …) is not in the graph; a front end keeps it.
 */
export interface Vertex {
  readonly operation: Operation;
  /** What the operation works on; null is the empty tree. Which is which, each operation says. */
  readonly inputs: readonly (Vertex | null)[];
  /** Run even when the result is known. */
  readonly ignoresCache: boolean;
  /** For people: the instruction or what stands for it. */
  readonly name: string;
}

export type Operation = SourceOperation | ExecOperation | FileOperation | MergeOperation | DiffOperation;

/** Files from elsewhere; without inputs. */
export type SourceOperation =
  /** Layers of an image that is here. */
  | { kind: 'source'; from: 'image'; imageId: Digest }
  /** A directory of the build's: its context, or another that it was given by name. */
  | { kind: 'source'; from: 'local'; name: string }
  /** A file by http or a git repository. `checksum` '' for any content; `needsName`: the URL must name the file. */
  | {
      kind: 'source';
      from: 'remote';
      url: string;
      checksum: string;
      keepGitDir: boolean;
      needsName: boolean;
    };

/** Runs a command in the first input's tree. The others are where mounts get their files from. */
export interface ExecOperation {
  kind: 'exec';
  command: readonly string[];
  /** `name=value` */
  environment: readonly string[];
  /** Further variables that do not make it another operation: proxies. */
  hiddenEnvironment: readonly string[];
  user: string;
  workingDirectory: string;
  /** `default`, `none`, `host` or a network's name. */
  network: string;
  /** With all that the engine itself may do. */
  isInsecure?: true;
  devices?: readonly RunDevice[];
  /** Of its programs, where it is not the machine's. */
  foreignPlatform?: string;
  extraHosts: readonly string[];
  mounts: readonly StepMount[];
  /** For each mount the index of its input; undefined when it has none. */
  mountInputs: readonly (number | undefined)[];
}

/** Changes files of the first input's tree. */
export interface FileOperation {
  kind: 'file';
  action: CopyAction | MakeDirectoryAction;
}

export interface MakeDirectoryAction {
  kind: 'mkdir';
  /** Absolute; those above it are made too. */
  path: string;
  /** `user[:group]` of what is made, '' for root. */
  owner: string;
}

/** The sources come from the second input; files of the inputs after it are sources as a whole. */
export interface CopyAction {
  kind: 'copy';
  /** COPY or ADD, for messages. */
  instruction: string;
  /** Paths and patterns in the second input; none when there are only downloads and texts. */
  sources: readonly string[];
  /** Texts that become files. */
  texts: readonly { name: string; content: string }[];
  destination: string;
  /** What a relative destination is relative to. */
  workingDirectory: string;
  /** `user[:group]`, '' for the default. */
  chown: string;
  chmod: string;
  exclude: readonly string[];
  keepsParents: boolean;
  /** ADD: archives among the sources are unpacked; undefined: those that were not downloaded. Never for COPY. */
  unpack: boolean | undefined;
}

/** The layers of all inputs, one on the other. */
export interface MergeOperation {
  kind: 'merge';
}

/** What the second input has and the first has not, as a tree of its own. */
export interface DiffOperation {
  kind: 'diff';
}
