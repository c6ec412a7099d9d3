import { closeSync, fstatSync, readSync } from 'node:fs';
import type { SeccompPolicy, SeccompSyscallRule } from '../../spec/index.ts';
import { EngineError } from '../../errors/index.ts';
import { koffi, libc } from '../linux/libc.ts';

// seccomp.h of libseccomp 2.5: SCMP_ACT_*, SCMP_CMP_* and filter attributes.
const actions: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};
const operators: Readonly<Record<string, number>> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
};
const attributeOptimize = 8;
const optimizeBinaryTree = 2;
const architectureExists = -17;
const unknownSyscall = -1;
const errnoEperm = 1;

type Context = object | null;

interface Library {
  init(action: number): Context;
  release(context: Context): void;
  archResolve(name: string): number;
  archAdd(context: Context, token: number): number;
  syscallResolve(name: string): number;
  ruleAdd(context: Context, action: number, syscall: number, count: number, comparisons: Buffer): number;
  setAttribute(context: Context, attribute: number, value: number): number;
  exportBpf(context: Context, fd: number): number;
}

let library: Library | null | undefined;

/** libseccomp, which crun links to, so it is there wherever crun is; null where it cannot be loaded. */
function loadLibrary(): Library | null {
  if (library !== undefined) return library;
  try {
    const seccomp = koffi().load('libseccomp.so.2');
    library = {
      init: seccomp.func('void *seccomp_init(uint32_t)') as unknown as Library['init'],
      release: seccomp.func('void seccomp_release(void *)') as unknown as Library['release'],
      archResolve: seccomp.func(
        'uint32_t seccomp_arch_resolve_name(const char *)',
      ) as unknown as Library['archResolve'],
      archAdd: seccomp.func('int seccomp_arch_add(void *, uint32_t)') as unknown as Library['archAdd'],
      syscallResolve: seccomp.func(
        'int seccomp_syscall_resolve_name(const char *)',
      ) as unknown as Library['syscallResolve'],
      ruleAdd: seccomp.func(
        'int seccomp_rule_add_array(void *, uint32_t, int, unsigned int, void *)',
      ) as unknown as Library['ruleAdd'],
      setAttribute: seccomp.func(
        'int seccomp_attr_set(void *, int, uint32_t)',
      ) as unknown as Library['setAttribute'],
      exportBpf: seccomp.func('int seccomp_export_bpf(void *, int)') as unknown as Library['exportBpf'],
    };
  } catch {
    library = null;
  }
  return library;
}

/**
 * Compiles a policy to the classic BPF program that seccomp(2) takes, as the OCI runtime would: some 10 ms, for a result
 * that can be used for every container with this policy.
 * @returns undefined where libseccomp is missing, or for a policy with a listener, which only the runtime can serve
 * @throws {EngineError} `invalid-parameter` for an unknown action, operator or architecture
 * @see OCI runtime-spec v1.2 config-linux.md#seccomp, libseccomp seccomp_export_bpf(3)
 */
export function compileSeccompFilter(policy: SeccompPolicy): Buffer | undefined {
  const seccomp = loadLibrary();
  const rules = policy.syscalls ?? [];
  if (seccomp === null || policy.listenerPath !== undefined) return undefined;
  if ([policy.defaultAction, ...rules.map((rule) => rule.action)].includes('SCMP_ACT_NOTIFY'))
    return undefined;
  const byDefault = actionOf(policy.defaultAction, policy.defaultErrnoRet);
  const context = seccomp.init(byDefault);
  if (context === null)
    throw new EngineError('internal', 'Cannot compile the seccomp policy: seccomp_init failed');
  try {
    for (const name of policy.architectures ?? []) addArchitecture(seccomp, context, name);
    // A search tree instead of a list: each call of the container passes some 9 comparisons instead of 200.
    seccomp.setAttribute(context, attributeOptimize, optimizeBinaryTree);
    for (const rule of rules) {
      const action = actionOf(rule.action, rule.errnoRet);
      if (action !== byDefault) addRule(seccomp, context, rule, action);
    }
    return exported(seccomp, context);
  } finally {
    seccomp.release(context);
  }
}

function actionOf(name: string, errnoRet: number | undefined): number {
  const action = actions[name];
  if (action === undefined) throw new EngineError('invalid-parameter', `invalid seccomp action: ${name}`);
  const hasData = name === 'SCMP_ACT_ERRNO' || name === 'SCMP_ACT_TRACE';
  return (action | (hasData ? (errnoRet ?? errnoEperm) & 0xffff : 0)) >>> 0;
}

function addArchitecture(seccomp: Library, context: Context, name: string): void {
  const token = seccomp.archResolve(name.replace(/^SCMP_ARCH_/, '').toLowerCase());
  if (token === 0) throw new EngineError('invalid-parameter', `invalid seccomp architecture: ${name}`);
  const result = seccomp.archAdd(context, token);
  if (result < 0 && result !== architectureExists) throw failed('architecture', name, result);
}

function addRule(seccomp: Library, context: Context, rule: SeccompSyscallRule, action: number): void {
  const comparisons = (rule.args ?? []).map((argument) => {
    const operator = operators[argument.op];
    if (operator === undefined) {
      throw new EngineError('invalid-parameter', `invalid seccomp operator: ${argument.op}`);
    }
    const bytes = Buffer.alloc(24);
    bytes.writeUInt32LE(argument.index, 0);
    bytes.writeUInt32LE(operator, 4);
    bytes.writeBigUInt64LE(BigInt(argument.value), 8);
    bytes.writeBigUInt64LE(BigInt(argument.valueTwo ?? 0), 16);
    return bytes;
  });
  // Two comparisons of one argument cannot hold in one rule of libseccomp; runc and crun take them as alternatives.
  const indexes = (rule.args ?? []).map((argument) => argument.index);
  const alternatives = new Set(indexes).size < indexes.length ? comparisons : [Buffer.concat(comparisons)];
  const perRule = new Set(indexes).size < indexes.length ? 1 : comparisons.length;
  for (const name of rule.names) {
    const number = seccomp.syscallResolve(name);
    // Names that this library does not know cannot be called on this machine under that name either.
    if (number === unknownSyscall) continue;
    for (const bytes of alternatives) {
      const result = seccomp.ruleAdd(
        context,
        action,
        number,
        perRule,
        bytes.length === 0 ? Buffer.alloc(24) : bytes,
      );
      if (result < 0) throw failed('rule for', name, result);
    }
  }
}

const memfdCreate = libc<(name: string, flags: number) => number>(
  'int memfd_create(const char *, unsigned int)',
);

function exported(seccomp: Library, context: Context): Buffer {
  const fd = memfdCreate('seccomp', 1);
  if (fd < 0) throw new EngineError('internal', 'Cannot compile the seccomp policy: memfd_create failed');
  try {
    const result = seccomp.exportBpf(context, fd);
    if (result < 0) throw failed('export', 'BPF', result);
    const program = Buffer.alloc(fstatSync(fd).size);
    readSync(fd, program, 0, program.length, 0);
    return program;
  } finally {
    closeSync(fd);
  }
}

function failed(what: string, name: string, result: number): EngineError {
  return new EngineError('internal', `Cannot compile the seccomp policy: ${what} ${name}: error ${-result}`);
}
