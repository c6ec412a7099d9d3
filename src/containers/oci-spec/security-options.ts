import { EngineError } from '../../errors/index.ts';

/** `HostConfig.SecurityOpt`, taken apart. */
export interface SecurityOptions {
  noNewPrivileges: boolean;
  /** `unconfined`, `builtin`, a profile's JSON, or undefined for the default. */
  seccomp: string | undefined;
  apparmor: string | undefined;
  /** SELinux: `disable`, `type:…` and so on; without effect where the host has no SELinux. */
  labels: string[];
  writableCgroups: boolean | undefined;
}

/** @throws {EngineError} `invalid-parameter` with Docker's texts. */
export function parseSecurityOptions(
  options: readonly string[] | null,
  defaultNoNewPrivileges: boolean,
): SecurityOptions {
  const parsed: SecurityOptions = {
    noNewPrivileges: defaultNoNewPrivileges,
    seccomp: undefined,
    apparmor: undefined,
    labels: [],
    writableCgroups: undefined,
  };
  for (const option of options ?? []) {
    if (option === 'no-new-privileges') parsed.noNewPrivileges = true;
    else if (option === 'writable-cgroups') parsed.writableCgroups = true;
    else if (option === 'disable') parsed.labels.push('disable');
    else applyPair(parsed, option);
  }
  return parsed;
}

function applyPair(parsed: SecurityOptions, option: string): void {
  // `name:value` is Docker's old form; a seccomp profile in JSON is full of colons, so `=` is looked for first.
  const at = option.includes('=') ? option.indexOf('=') : option.indexOf(':');
  if (at === -1) throw invalid(`invalid --security-opt 1: ${JSON.stringify(option)}`);
  const value = option.slice(at + 1);
  switch (option.slice(0, at)) {
    case 'label':
      parsed.labels.push(value);
      return;
    case 'apparmor':
      parsed.apparmor = value;
      return;
    case 'seccomp':
      parsed.seccomp = value;
      return;
    case 'no-new-privileges':
      parsed.noNewPrivileges = boolean(value, option);
      return;
    case 'writable-cgroups':
      parsed.writableCgroups = boolean(value, option);
      return;
    default:
      throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
  }
}

/** The spellings Go's strconv.ParseBool takes. */
function boolean(value: string, option: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
