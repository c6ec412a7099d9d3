import type { Image } from '../../images/index.ts';
import { configPlatform } from '../../spec/index.ts';
import type { NamedContext } from '../builder.ts';
import type { NamedContexts } from '../context/named-contexts.ts';
import type { Vertex } from '../graph/operation.ts';
import type { BuildSession } from './session.ts';

/** The name of the build's own context among its local sources. */
export const CONTEXT = '';

/** What one build reads from elsewhere; the same source is one vertex. */
export class SourceVertices {
  readonly #session: BuildSession;
  readonly #contexts: NamedContexts;
  readonly #known = new Map<string, Vertex>();

  constructor(session: BuildSession, contexts: NamedContexts) {
    this.#session = session;
    this.#contexts = contexts;
  }

  /** The build's own context. */
  get context(): Vertex {
    return this.#local(CONTEXT);
  }

  /** A named context with files; fetched when it is first needed. */
  async named(name: string, context: Exclude<NamedContext, { kind: 'image' }>): Promise<Vertex> {
    const directory = await this.#contexts.directory(name, context);
    this.#session.addLocal(directory, directory);
    return this.#local(directory);
  }

  /** @param name by which it was found */
  image(image: Image, name: string): Vertex {
    const { digest } = this.#session.services.parts.images.target(image.id);
    this.#session.materials.image(name, configPlatform(image.config), digest);
    return this.#vertex(image.id, {
      operation: { kind: 'source', from: 'image', imageId: image.id },
      inputs: [],
      ignoresCache: false,
      name: `FROM ${image.id}`,
    });
  }

  #local(name: string): Vertex {
    return this.#vertex(`local ${name}`, {
      operation: { kind: 'source', from: 'local', name },
      inputs: [],
      ignoresCache: false,
      name: name === CONTEXT ? '[internal] load build context' : `[context ${name}] load from client`,
    });
  }

  #vertex(key: string, vertex: Vertex): Vertex {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, vertex);
    return vertex;
  }
}
