import { EngineError } from '../../errors/index.ts';
import type { RunDevice } from '../dockerfile/instructions/instruction.ts';

/**
 * What a build's RUN steps may have beyond the defaults of a container: `network.host`, `security.insecure`, `device` for all
 * devices, `device=NAME` for one, `device=NAME,alias=OTHER` for one under the name that the Dockerfile gives it.
 */
export class Entitlements {
  readonly #plain = new Set<string>();
  readonly #devices = new Map<string, string>();

  /**
   * @param refused by the engine's configuration
   * @throws {EngineError} `invalid-parameter`, `forbidden` with BuildKit's texts
   */
  constructor(allowed: readonly string[], refused: readonly string[] = []) {
    for (const text of allowed) {
      if (refused.includes(text)) {
        const why = 'is not allowed by build daemon configuration';
        throw new EngineError('forbidden', `granting entitlement ${text} ${why}`);
      }
      const [name = '', device] = text.split(/=(.*)/s);
      if (!['network.host', 'security.insecure', 'device'].includes(name)) throw unknown(text);
      if (device === undefined || device === '') this.#plain.add(name);
      else if (name === 'device') this.#allowDevice(device);
      else throw unknown(text);
    }
  }

  #allowDevice(text: string): void {
    const [name = '', ...fields] = text.split(',');
    let alias = name;
    for (const field of fields) {
      const [key, value] = field.split('=');
      if (key !== 'alias' || value === undefined) {
        throw new EngineError('invalid-parameter', `unknown device config key ${JSON.stringify(key)}`);
      }
      alias = value;
    }
    this.#devices.set(alias, name);
  }

  /** @throws {EngineError} `forbidden` with BuildKit's text */
  require(name: 'network.host' | 'security.insecure'): void {
    if (!this.#plain.has(name)) throw new EngineError('forbidden', `${name} is not allowed`);
  }

  /** A device under its own name. @throws {EngineError} `forbidden` with BuildKit's text */
  device({ name, isRequired }: RunDevice): RunDevice {
    const own = this.#devices.get(name);
    if (own === undefined && !this.#plain.has('device')) {
      throw new EngineError('forbidden', `device ${name} is requested by the build but not allowed`);
    }
    return { name: own ?? name, isRequired };
  }
}

function unknown(text: string): EngineError {
  return new EngineError('invalid-parameter', `unknown entitlement ${text}`);
}
