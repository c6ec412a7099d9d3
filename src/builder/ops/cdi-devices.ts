import { readFileSync, readdirSync } from 'node:fs';
import { EngineError } from '../../errors/index.ts';
import type { HostConfig, RuntimeMount } from '../../spec/index.ts';
import type { RunDevice } from '../dockerfile/instructions/instruction.ts';

/** What the Container Device Interface says a container with a device has more. */
interface ContainerEdits {
  env?: string[];
  deviceNodes?: { path: string; hostPath?: string; permissions?: string }[];
  mounts?: { hostPath: string; containerPath: string; type?: string; options?: string[] }[];
}

interface Specification {
  kind: string;
  containerEdits?: ContainerEdits;
  devices: { name: string; containerEdits: ContainerEdits }[];
}

/** What a step gets with its devices. */
export interface StepDevices {
  environment: string[];
  devices: NonNullable<HostConfig['Devices']>;
  mounts: RuntimeMount[];
}

/** Of the edits that there may be, those that are done. */
const known = ['env', 'deviceNodes', 'mounts'];

/** Where specifications are looked for; the last that has a device counts. */
const cdiDirectories = ['/etc/cdi', '/var/run/cdi'];

/**
 * Finds devices by their names, `vendor.com/class=name`, `=*` for all of a class, or the class alone for its first, in the JSON
 * specifications of the machine. One that is not there is left out unless it is required.
 * @throws {EngineError} `not-found` with BuildKit's text; `not-implemented` for what a specification asks for besides
 * @see https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
 */
export function findDevices(
  wanted: readonly RunDevice[],
  directories: readonly string[] = cdiDirectories,
): StepDevices {
  const found: StepDevices = { environment: [], devices: [], mounts: [] };
  const all = wanted.length === 0 ? new Map<string, Specification>() : specifications(directories);
  const done = new Set<string>();
  for (const { name, isRequired } of wanted) {
    const [kind = '', device] = name.split('=');
    const specification = all.get(kind);
    const devices = specification?.devices ?? [];
    const named =
      device === undefined
        ? devices.slice(0, 1)
        : devices.filter((one) => device === '*' || one.name === device);
    if (named.length === 0 && isRequired) {
      throw new EngineError('not-found', `required device ${JSON.stringify(name)} is not registered`);
    }
    for (const one of named) {
      if (done.has(`${kind}=${one.name}`)) continue;
      done.add(`${kind}=${one.name}`);
      add(found, one.containerEdits, `${kind}=${one.name}`);
      if (done.has(kind) || specification?.containerEdits === undefined) continue;
      done.add(kind);
      add(found, specification.containerEdits, kind);
    }
  }
  return found;
}

function specifications(directories: readonly string[]): Map<string, Specification> {
  const found = new Map<string, Specification>();
  for (const directory of directories) {
    for (const name of namesIn(directory).filter((file) => file.endsWith('.json'))) {
      const specification = read(`${directory}/${name}`);
      if (specification !== undefined) found.set(specification.kind, specification);
    }
  }
  return found;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted();
  } catch {
    return [];
  }
}

/** Undefined for a file that is none: another's devices are found all the same. */
function read(path: string): Specification | undefined {
  try {
    const specification = JSON.parse(readFileSync(path, 'utf8')) as Specification;
    return Array.isArray(specification.devices) ? specification : undefined;
  } catch {
    return undefined;
  }
}

function add(found: StepDevices, edits: ContainerEdits, name: string): void {
  const foreign = Object.keys(edits).find((key) => !known.includes(key));
  if (foreign !== undefined) {
    throw new EngineError(
      'not-implemented',
      `device ${name} asks for ${foreign}, which RUN steps cannot have`,
    );
  }
  found.environment.push(...(edits.env ?? []));
  for (const { path, hostPath = path, permissions = 'rwm' } of edits.deviceNodes ?? []) {
    found.devices.push({ PathOnHost: hostPath, PathInContainer: path, CgroupPermissions: permissions });
  }
  for (const { hostPath, containerPath, type = 'bind', options = ['rbind', 'ro'] } of edits.mounts ?? []) {
    found.mounts.push({ destination: containerPath, type, source: hostPath, options });
  }
}
