import { isNotFound } from '../client/index.ts';
import type { Cli } from './cli.ts';
import { imageAuth } from './auth.ts';
import { imagePath } from './commands/image/names.ts';
import { familiar, parseReference } from './opts/reference.ts';
import { displayProgress, type ProgressMessage } from './progress.ts';

/** What `image bootstrap` calls a base image that can be made on this machine; undefined for any other. */
export function bootstrapName(image: string): string | undefined {
  let reference;
  try {
    reference = parseReference(image);
  } catch {
    return undefined;
  }
  if (reference === null || reference.domain !== 'docker.io' || reference.digest !== '') return undefined;
  const { name, tag } = reference;
  if (name === 'busybox' && (tag === '' || tag === 'latest')) return 'busybox';
  return name === 'debian' && tag !== '' && tag !== 'latest' ? `debian:${tag}` : undefined;
}

/**
 * Makes a base image on this machine after it could not be pulled, and says so on standard error.
 * @param why it could not be pulled
 * @throws `why` for an image that cannot be made here, and the engine's error when making it fails
 */
export async function bootstrapInstead(cli: Cli, image: string, why: unknown): Promise<void> {
  const name = bootstrapName(image);
  if (name === undefined) throw why;
  const client = await cli.client();
  cli.err(`Cannot pull ${image}: ${(why as Error).message}\nMaking ${name} on this machine instead\n`);
  const response = await client.request('POST', '/coracle/images/bootstrap', { query: { name } });
  await displayProgress(cli, response.values<ProgressMessage>(), { fd: 2 });
}

/** Sees to it that those of a Dockerfile's base images that can be made on this machine are there. */
export async function ensureBases(cli: Cli, dockerfile: string): Promise<void> {
  const client = await cli.client();
  for (const image of baseImages(dockerfile)) {
    if (bootstrapName(image) === undefined) continue;
    try {
      await client.get(`/images/${imagePath(image)}/json`);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await pullOrBootstrap(cli, image);
    }
  }
}

async function pullOrBootstrap(cli: Cli, image: string): Promise<void> {
  const reference = parseReference(image);
  if (reference === null) return;
  const client = await cli.client();
  try {
    const response = await client.request('POST', '/images/create', {
      query: { fromImage: reference.name, tag: reference.tag || 'latest' },
      headers: { 'X-Registry-Auth': await imageAuth(cli, image) },
    });
    await displayProgress(cli, response.values<ProgressMessage>(), { fd: 2 });
  } catch (error) {
    await bootstrapInstead(cli, familiar(reference), error);
  }
}

/** What FROM and `COPY --from` name, as far as it is written out; stages among it do no harm. */
function baseImages(dockerfile: string): Set<string> {
  const images = new Set<string>();
  const stages = new Set<string>();
  for (const line of dockerfile.split('\n')) {
    const [, image, stage] = /^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/i.exec(line) ?? [];
    if (image !== undefined && !stages.has(image.toLowerCase())) images.add(image);
    if (stage !== undefined) stages.add(stage.toLowerCase());
    const [, from] = /^\s*COPY\s+(?:--\S+\s+)*--from=(\S+)/i.exec(line) ?? [];
    if (from !== undefined && !stages.has(from.toLowerCase())) images.add(from);
  }
  return images;
}
