import { randomInt } from 'node:crypto';
import { EngineError } from '../errors/index.ts';
import { invalid } from './errors.ts';
import { adjectives, surnames } from './name-words.ts';

const allowed = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Which container has which name. Names are without Docker's leading slash. */
export class ContainerNames {
  readonly #owners = new Map<string, string>();

  /** @returns the name without slash. @throws {EngineError} `invalid-parameter`; `conflict` when another has it */
  reserve(name: string, id: string): string {
    const bare = name.startsWith('/') ? name.slice(1) : name;
    if (!allowed.test(bare)) {
      throw invalid(`Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    }
    const owner = this.#owners.get(bare);
    if (owner !== undefined && owner !== id) {
      throw new EngineError(
        'conflict',
        `Conflict. The container name "/${bare}" is already in use by container "${owner}". ` +
          'You have to remove (or rename) that container to be able to reuse that name.',
        { code: 'name-in-use', details: { name: bare, id: owner } },
      );
    }
    this.#owners.set(bare, id);
    return bare;
  }

  /** A free `adjective_surname`, after some attempts with a number, at last the short id. */
  generate(id: string): string {
    for (let attempt = 0; attempt < 8; attempt++) {
      const digit = attempt < 3 ? '' : String(randomInt(10));
      const name = `${pick(adjectives)}_${pick(surnames)}${digit}`;
      if (!this.#owners.has(name)) return this.reserve(name, id);
    }
    return this.reserve(id.slice(0, 12), id);
  }

  owner(name: string): string | undefined {
    return this.#owners.get(name);
  }

  /** No error when another container has it by now. */
  release(name: string, id: string): void {
    if (this.#owners.get(name) === id) this.#owners.delete(name);
  }
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? 'plain';
}
