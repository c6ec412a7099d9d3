import { EngineError } from '../../errors/index.ts';
import type { CopyInstruction } from '../dockerfile/instructions/instruction.ts';
import { parseGitReference } from '../context/git-reference.ts';
import { isRemote } from '../ops/remote-source.ts';
import type { CopyAction, Vertex } from './operation.ts';
import type { StageState } from './stage.ts';

/**
 * COPY or ADD as a vertex: on what is there, or with `--link` on nothing and then merged, so that it stays the same
 * whatever is below.
 * @param options.sourceOf gives the vertex of a `from`, '' for the context
 * @returns `vertex` gives the stage's files, `work` does the copying; the same without `--link`
 */
export async function copyVertex(
  state: StageState,
  instruction: CopyInstruction,
  options: { name: string; sourceOf: (from: string) => Promise<Vertex | null> },
): Promise<{ vertex: Vertex; work: Vertex; createdBy: (source: string) => string }> {
  const name = instruction.kind.toUpperCase();
  const { ignoresCache } = state;
  const words = instruction.sources.map((word) => state.expand(word));
  const destination = state.expand(instruction.destination);
  const local = words.filter((word) => !isRemote(word));
  const remote = words.filter(isRemote);
  if (name === 'COPY' && remote.length > 0) {
    throw new EngineError('invalid-parameter', "COPY failed: source can't be a URL for COPY");
  }
  const checksum = state.expand(instruction.checksum);
  if (checksum !== '') checkChecksum(checksum, words);
  const fetched = remote.map((url): Vertex => ({
    operation: {
      kind: 'source',
      from: 'remote',
      url,
      checksum,
      keepGitDir: instruction.keepGitDir,
      needsName: /(?:^|\/)\.?$/.test(destination),
    },
    inputs: [],
    ignoresCache,
    name: url,
  }));
  const chown = state.expand(instruction.chown);
  const action: CopyAction = {
    kind: 'copy',
    instruction: name,
    sources: local,
    texts: instruction.heredocs.map((heredoc) => ({
      name: state.expand(heredoc.name),
      content: heredoc.expand ? state.expandKeepingQuotes(heredoc.content) : heredoc.content,
    })),
    destination,
    workingDirectory: state.config.WorkingDir ?? '/',
    chown,
    chmod: state.expand(instruction.chmod),
    exclude: instruction.exclude.map((pattern) => state.expand(pattern)),
    keepsParents: instruction.parents,
    unpack: instruction.unpack,
  };
  const from = local.length === 0 ? [] : [await options.sourceOf(instruction.from)];
  // Names of users are found in the files below.
  const stands = instruction.link && state.vertex !== null && /^(?:\d+(?::\d+)?)?$/.test(chown);
  const copy: Vertex = {
    operation: { kind: 'file', action },
    inputs: [stands ? null : state.vertex, ...from, ...fetched],
    ignoresCache,
    name: options.name,
  };
  const flags = chown === '' ? '' : `--chown=${chown} `;
  const createdBy = (source: string): string => `${name} ${flags}${source} in ${destination} `;
  if (!stands) return { vertex: copy, work: copy, createdBy };
  const inputs = [state.vertex, copy];
  return {
    vertex: { operation: { kind: 'merge' }, inputs, ignoresCache: false, name: options.name },
    work: copy,
    createdBy,
  };
}

/** @throws {EngineError} `invalid-parameter` with BuildKit's text */
function checkChecksum(checksum: string, sources: readonly string[]): void {
  const [source = '', ...others] = sources;
  const problem =
    others.length > 0
      ? "checksum can't be specified for multiple sources"
      : !isRemote(source)
        ? 'checksum requires HTTP(S) or Git sources'
        : parseGitReference(source) === undefined && !/^sha256:[0-9a-f]{64}$/.test(checksum)
          ? 'invalid checksum digest format'
          : undefined;
  if (problem !== undefined) throw new EngineError('invalid-parameter', problem);
}

/** All files of a directory among the local sources, as the files of an image. */
export function directoryVertex(source: Vertex, name: string): Vertex {
  const action: CopyAction = {
    kind: 'copy',
    instruction: 'COPY',
    sources: ['.'],
    texts: [],
    destination: '/',
    workingDirectory: '/',
    chown: '',
    chmod: '',
    exclude: [],
    keepsParents: false,
    unpack: undefined,
  };
  return { operation: { kind: 'file', action }, inputs: [null, source], ignoresCache: false, name };
}
