import { EngineError } from '../../errors/index.ts';
import type { Image } from '../../images/index.ts';
import { formatReference, parseReference, withDefaultTag, type Platform } from '../../spec/index.ts';
import type { BuildSession } from './session.ts';

/** The images that one build begins with or copies from, each looked for once. */
export class BaseImages {
  readonly #session: BuildSession;
  readonly #found = new Map<string, Promise<Image>>();

  constructor(session: BuildSession) {
    this.#session = session;
  }

  /**
   * @param platform the image must be of; undefined: whatever is here
   * @throws {EngineError} as Images.pull(); `not-found` when it is of another platform
   */
  find(name: string, platform: Platform | undefined): Promise<Image> {
    const key = `${name} ${platform === undefined ? '' : JSON.stringify(platform)}`;
    let image = this.#found.get(key);
    if (image === undefined) {
      image = this.#fetch(name, platform);
      this.#found.set(key, image);
      image.catch(() => undefined);
    }
    return image;
  }

  async #fetch(name: string, platform: Platform | undefined): Promise<Image> {
    const { services, request } = this.#session;
    const { images } = services.parts;
    const isId = /^(?:sha256:)?[0-9a-f]{12,64}$/.test(name) && images.has(name);
    if (!isId && (request.pull === true || !images.has(name, platform))) {
      await this.#pull(name, platform);
    }
    const image = images.has(name, platform) ? images.get(name, platform) : images.get(name);
    const { os, architecture } = image.config;
    if (
      platform !== undefined &&
      architecture !== '' &&
      (os !== platform.os || architecture !== platform.architecture)
    ) {
      throw new EngineError(
        'not-found',
        `image with reference ${name} was found but does not match the specified platform: wanted ${platform.os}/${platform.architecture}, actual: ${os}/${architecture}`,
      );
    }
    return image;
  }

  async #pull(name: string, platform: Platform | undefined): Promise<void> {
    const { services, request, signal } = this.#session;
    let reference;
    try {
      reference = withDefaultTag(parseReference(name));
    } catch (error) {
      throw new EngineError('invalid-parameter', 'invalid reference format', { cause: error });
    }
    const credentials = request.credentials?.(reference.domain);
    await services.parts.images.pull(formatReference(reference), {
      ...(platform === undefined ? {} : { platform }),
      ...(credentials === undefined ? {} : { credentials }),
      signal,
      onProgress: ({ aux, ...progress }) => {
        void aux;
        if (request.quiet !== true) request.onMessage?.(progress);
      },
    });
  }
}
