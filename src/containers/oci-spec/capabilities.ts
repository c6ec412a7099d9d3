import { EngineError } from '../../errors/index.ts';

/** What a container gets when nothing else is asked: Docker's list, in its order. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** capabilities(7) of Linux 5.9 and later, by number. */
export const knownCapabilities: readonly string[] = `
  CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
  NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
  SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
  MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`
  .trim()
  .split(/\s+/)
  .map((name) => `CAP_${name}`);

/** The names in a mask as `/proc/<pid>/status` prints it (hex, `CapBnd`). */
export function capabilitiesInMask(hex: string): string[] {
  const mask = BigInt(`0x${hex}`);
  return knownCapabilities.filter((_, number) => ((mask >> BigInt(number)) & 1n) === 1n);
}

/**
 * Upper case, `CAP_` in front, `ALL` kept.
 * @param bounding what may be named: the engine's own to add, all to drop
 * @throws {EngineError} `invalid-parameter` for names unknown or not this engine's to give.
 */
export function normalizeCapabilities(
  names: readonly string[],
  bounding: readonly string[] = knownCapabilities,
): string[] {
  return names.map((given) => {
    const upper = given.toUpperCase();
    if (upper === 'ALL') return upper;
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    if (!knownCapabilities.includes(name))
      throw new EngineError('invalid-parameter', `unknown capability: "${name}"`);
    if (!bounding.includes(name))
      throw new EngineError(
        'invalid-parameter',
        `capability not supported by your kernel or not available in the current environment: "${name}"`,
      );
    return name;
  });
}

/**
 * The container's set: the defaults with `drop` and `add` applied; ALL in `add` starts from the engine's own bounding
 * set, ALL in `drop` from nothing; privileged is the engine's own bounding set whatever else is said.
 * Defaults that the engine itself does not have are left out, as no runtime could give them.
 */
export function containerCapabilities(options: {
  add: readonly string[] | null;
  drop: readonly string[] | null;
  privileged: boolean;
  bounding: readonly string[];
}): string[] {
  const { bounding } = options;
  if (options.privileged) return [...bounding];
  const given = defaultCapabilities.filter((name) => bounding.includes(name));
  if (!options.add?.length && !options.drop?.length) return given;
  const drop = normalizeCapabilities(options.drop ?? []);
  const add = normalizeCapabilities(options.add ?? [], bounding);
  if (add.includes('ALL')) return bounding.filter((name) => !drop.includes(name));
  if (drop.includes('ALL')) return [...new Set(add)];
  return [...new Set([...given.filter((name) => !drop.includes(name)), ...add])];
}
