import type { Healthcheck } from '../../../spec/index.ts';
import type { Heredoc } from '../parser/heredoc.ts';

/** Shell form (`RUN a b`) or exec form (`RUN ["a", "b"]`). */
export interface CommandLine {
  form: 'shell' | 'exec';
  /** Shell form: one text; exec form: the arguments. */
  words: string[];
}

interface Common {
  /** The first word as written: `Run`. */
  keyword: string;
  /** Comments in the lines right above, without `#`. */
  comments: readonly string[];
  /** As written, continuation lines joined. */
  original: string;
  /** First line in the file, from 1; 0 for what does not stand there. */
  line: number;
  /** Last line, heredocs included. */
  endLine: number;
}

/** A device that RUN asks for by `--device`, by the names of the Container Device Interface. */
export interface RunDevice {
  name: string;
  /** The step fails without it. */
  isRequired: boolean;
}

export interface RunInstruction extends Common {
  kind: 'run';
  command: CommandLine;
  heredocs: Heredoc[];
  /** Values of `--mount`, not yet expanded. */
  mounts: string[];
  network: string;
  /** `--security=insecure`. */
  isInsecure: boolean;
  devices: RunDevice[];
}

export interface CopyInstruction extends Common {
  kind: 'copy' | 'add';
  sources: string[];
  destination: string;
  heredocs: Heredoc[];
  from: string;
  chown: string;
  chmod: string;
  exclude: string[];
  parents: boolean;
  /** The copy does not depend on what is below it. */
  link: boolean;
  /** ADD: extract archives or not; undefined: local archives are, downloads are not. */
  unpack: boolean | undefined;
  checksum: string;
  keepGitDir: boolean;
}

/** An instruction of a build stage. */
export type Instruction =
  | (Common & { kind: 'env' | 'label'; pairs: { name: string; value: string }[]; isOldForm: boolean })
  | (Common & { kind: 'arg'; pairs: { name: string; value: string | undefined }[] })
  | (Common & { kind: 'cmd' | 'entrypoint'; command: CommandLine })
  | (Common & { kind: 'expose' | 'volume'; words: string[] })
  | (Common & { kind: 'user' | 'stopsignal' | 'maintainer'; value: string })
  | (Common & { kind: 'workdir'; value: string })
  | (Common & { kind: 'shell'; words: string[] })
  | (Common & { kind: 'healthcheck'; check: Healthcheck })
  | (Common & { kind: 'onbuild'; trigger: string })
  | RunInstruction
  | CopyInstruction;

/** `FROM` and what follows it. */
export interface Stage extends Common {
  /** `as` and the name as written. */
  written: { as: string; name: string };
  /** Image or earlier stage, not yet expanded. */
  base: string;
  /** Lower case; '' for none. */
  name: string;
  platform: string;
  instructions: Instruction[];
}

export interface Dockerfile {
  escape: '\\' | '`';
  /** ARGs in front of the first FROM. */
  metaArgs: (Common & { name: string; value: string | undefined })[];
  stages: Stage[];
  /** Value of `# check=`, '' for none. */
  check: string;
  /** Last lines of instructions with empty lines in them. */
  emptyContinuations: number[];
  warnings: string[];
}
