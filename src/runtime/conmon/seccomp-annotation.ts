import type { RuntimeSpec, SeccompPolicy } from '../../spec/index.ts';

/** Compiles a policy to BPF, or undefined when only the runtime can. */
export type CompileSeccomp = (policy: SeccompPolicy) => Buffer | undefined;

const maxKept = 64;

/**
 * crun takes a compiled seccomp program in an annotation instead of the policy. Compiling Docker's policy takes crun 12 ms
 * of the 22 ms of a `create`, for the same result each time: here it is done once for each policy.
 * @see crun(1), annotation run.oci.seccomp_bpf_data
 */
export class SeccompAnnotation {
  readonly #compile: CompileSeccomp;
  readonly #programs = new Map<string, string | undefined>();
  /** By identity, for a policy that many specs share: finding it by its text costs as much as writing the spec. */
  readonly #known = new WeakMap<SeccompPolicy, { program: string | undefined }>();

  constructor(compile: CompileSeccomp) {
    this.#compile = compile;
  }

  /** The same spec with the policy's program in its place, or the spec as it is. */
  apply(spec: RuntimeSpec): RuntimeSpec {
    const policy = spec.linux.seccomp;
    // A user's own annotation wins.
    if (policy === undefined || spec.annotations?.['run.oci.seccomp_bpf_data'] !== undefined) return spec;
    const program = this.#program(policy);
    if (program === undefined) return spec;
    const { syscalls: _, ...rest } = policy;
    return {
      ...spec,
      annotations: { ...spec.annotations, 'run.oci.seccomp_bpf_data': program },
      linux: { ...spec.linux, seccomp: rest },
    };
  }

  /** Compiles ahead of need, as the first time takes some 30 ms. The policy must not change afterwards. */
  prepare(policy: SeccompPolicy): void {
    this.#known.set(policy, { program: this.#program(policy) });
  }

  #program(policy: SeccompPolicy): string | undefined {
    const known = this.#known.get(policy);
    if (known !== undefined) return known.program;
    const key = JSON.stringify(policy);
    if (this.#programs.has(key)) return this.#programs.get(key);
    const program = this.#compile(policy)?.toString('base64');
    if (this.#programs.size >= maxKept) this.#programs.clear();
    this.#programs.set(key, program);
    return program;
  }
}
