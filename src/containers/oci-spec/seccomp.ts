import { arch as nodeArch } from 'node:process';
import { release } from 'node:os';
import { EngineError } from '../../errors/index.ts';
import type { SeccompPolicy, SeccompSyscallRule } from '../../spec/index.ts';
import {
  allowedPersonalities,
  callsOfArchitecture,
  callsOfCapability,
  callsSinceKernel48,
  commonCalls,
  deniedSocketDomains,
  filterArchitectures,
  namespaceCloneFlags,
} from './default-seccomp-calls.ts';

const allow = 'SCMP_ACT_ALLOW';

/** What a policy's conditions are asked about. */
export interface SeccompTarget {
  /** The container's bounding set, `CAP_…`. */
  capabilities: readonly string[];
  /** Name as Go's GOARCH, in which profiles are written. */
  architecture: string;
  /** `6.1.0-13-amd64` */
  kernelRelease: string;
}

const goArchitectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  mipsel: 'mipsle',
  ppc64: 'ppc64le',
  loong64: 'loong64',
};

/** This machine, for a container with these capabilities. */
export function seccompTarget(capabilities: readonly string[]): SeccompTarget {
  return { capabilities, architecture: goArchitectures[nodeArch] ?? nodeArch, kernelRelease: release() };
}

const builtPolicies = new Map<string, SeccompPolicy>();

/**
 * The default policy as the OCI runtime wants it: flat. One object per set of capabilities, built once and shared by
 * all specs, so treat it as read-only.
 */
export function defaultSeccompPolicy(target: SeccompTarget): SeccompPolicy {
  const key = `${target.architecture} ${target.kernelRelease} ${target.capabilities.join()}`;
  let policy = builtPolicies.get(key);
  if (policy === undefined) {
    policy = buildDefaultPolicy(target);
    // The key holds user input (capabilities), so there is a bound.
    if (builtPolicies.size > 64) builtPolicies.clear();
    builtPolicies.set(key, policy);
  }
  return policy;
}

function words(text: string | undefined): string[] {
  return text?.match(/\S+/g) ?? [];
}

function buildDefaultPolicy(target: SeccompTarget): SeccompPolicy {
  const names = new Set<string>();
  const add = (text: string | undefined): void => {
    for (const name of words(text)) names.add(name);
  };
  for (const calls of Object.values(commonCalls)) add(calls);
  if (kernelAtLeast(target.kernelRelease, '4.8')) add(callsSinceKernel48);
  add(callsOfArchitecture[target.architecture]);
  for (const capability of target.capabilities) add(callsOfCapability[capability]);

  const { alg, vsock } = deniedSocketDomains;
  const whenArgument = (name: string, index: number, op: string, value: number, valueTwo?: number) => ({
    names: [name],
    action: allow,
    args: [{ index, value, ...(valueTwo === undefined ? {} : { valueTwo }), op }],
  });
  const syscalls: SeccompSyscallRule[] = [
    { names: [...names], action: allow },
    whenArgument('socket', 0, 'SCMP_CMP_LT', alg),
    whenArgument('socket', 0, 'SCMP_CMP_EQ', 39),
    whenArgument('socket', 0, 'SCMP_CMP_GT', vsock),
    ...allowedPersonalities.map((persona) => whenArgument('personality', 0, 'SCMP_CMP_EQ', persona)),
  ];
  if (!target.capabilities.includes('CAP_SYS_ADMIN')) {
    // clone(2) on s390 has its first two arguments the other way round.
    const flagsArgument = target.architecture === 's390x' ? 1 : 0;
    syscalls.push(
      whenArgument('clone', flagsArgument, 'SCMP_CMP_MASKED_EQ', namespaceCloneFlags, 0),
      // The flags of clone3(2) are behind a pointer that a filter cannot follow: ENOSYS makes libc fall back to clone.
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
    );
  }
  const policy: SeccompPolicy = { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1, syscalls };
  const architectures = filterArchitectures[target.architecture];
  if (architectures !== undefined) policy.architectures = [...architectures];
  return policy;
}

interface ProfileCondition {
  arches?: string[] | null;
  caps?: string[] | null;
  minKernel?: string;
}

interface ProfileRule extends Omit<SeccompSyscallRule, 'names'> {
  name?: string;
  names?: string[] | null;
  comment?: string;
  includes?: ProfileCondition | null;
  excludes?: ProfileCondition | null;
}

interface Profile {
  defaultAction?: string;
  defaultErrnoRet?: number;
  architectures?: string[] | null;
  archMap?: { architecture: string; subArchitectures?: string[] | null }[] | null;
  flags?: string[] | null;
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: ProfileRule[] | null;
}

/**
 * Resolves a profile in Docker's form (conditions on capabilities, architecture and kernel) to the runtime's form.
 * @returns undefined for a profile that says nothing, which turns seccomp off.
 * @throws {EngineError} `invalid-parameter` for what is not such a profile.
 */
export function loadSeccompProfile(json: string, target: SeccompTarget): SeccompPolicy | undefined {
  const profile = parseProfile(json);
  const rules = profile.syscalls ?? [];
  if ((profile.defaultAction ?? '') === '' && rules.length === 0) return undefined;
  if ((profile.architectures?.length ?? 0) > 0 && (profile.archMap?.length ?? 0) > 0)
    throw invalid(
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  const policy: SeccompPolicy = { defaultAction: profile.defaultAction ?? '' };
  if (profile.defaultErrnoRet !== undefined) policy.defaultErrnoRet = profile.defaultErrnoRet;
  if (profile.flags?.length) policy.flags = profile.flags;
  if (profile.listenerPath) policy.listenerPath = profile.listenerPath;
  if (profile.listenerMetadata) policy.listenerMetadata = profile.listenerMetadata;
  const architectures = [...(profile.architectures ?? [])];
  const native = filterArchitectures[target.architecture]?.[0];
  const mapped = profile.archMap?.find((entry) => entry.architecture === native);
  if (mapped !== undefined) architectures.push(mapped.architecture, ...(mapped.subArchitectures ?? []));
  if (architectures.length > 0) policy.architectures = architectures;
  policy.syscalls = [];
  for (const { name, names, includes, excludes, comment: _, ...rule } of rules) {
    if (name && names?.length)
      throw invalid(
        "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
      );
    if (excludes && matchesAny(excludes, target)) continue;
    if (includes && !matchesAll(includes, target)) continue;
    const { args, ...rest } = rule;
    policy.syscalls.push({
      names: name ? [name] : (names ?? []),
      ...rest,
      ...(args?.length ? { args } : {}),
    });
  }
  return policy;
}

function parseProfile(json: string): Profile {
  let profile: unknown;
  try {
    profile = JSON.parse(json);
  } catch (error) {
    throw invalid(`Decoding seccomp profile failed: ${(error as Error).message}`);
  }
  if (typeof profile !== 'object' || profile === null || Array.isArray(profile))
    throw invalid('Decoding seccomp profile failed: the profile is not a JSON object');
  return profile;
}

function matchesAny(condition: ProfileCondition, target: SeccompTarget): boolean {
  return (
    condition.arches?.includes(profileArchitecture(target)) === true ||
    condition.caps?.some((capability) => target.capabilities.includes(capability)) === true ||
    (condition.minKernel !== undefined && kernelAtLeast(target.kernelRelease, condition.minKernel))
  );
}

function matchesAll(condition: ProfileCondition, target: SeccompTarget): boolean {
  return (
    (!condition.arches?.length || condition.arches.includes(profileArchitecture(target))) &&
    (condition.caps ?? []).every((capability) => target.capabilities.includes(capability)) &&
    (condition.minKernel === undefined || kernelAtLeast(target.kernelRelease, condition.minKernel))
  );
}

/** Profiles name most architectures as Go does, but not all. */
function profileArchitecture(target: SeccompTarget): string {
  const names: Record<string, string> = { 386: 'x86', loong64: 'loongarch64', mips64le: 'mipsel64' };
  return names[target.architecture] ?? target.architecture;
}

function kernelAtLeast(release_: string, minimum: string): boolean {
  const wanted = /^(\d+)\.(\d+)$/.exec(minimum);
  if (wanted === null) throw invalid(`invalid kernel version: ${minimum}`);
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(release_) ?? [];
  return Number(major) !== Number(wanted[1])
    ? Number(major) > Number(wanted[1])
    : Number(minor) >= Number(wanted[2]);
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
