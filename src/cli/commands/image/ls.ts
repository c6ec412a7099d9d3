import { maxArgs, type Command } from '../../command.ts';
import { bool, list, text, type Parsed } from '../../flags/flags.ts';
import { render, type Listing } from '../../format/table.ts';
import { ago, goTime, humanSize, shortId } from '../../format/units.ts';
import { filterArgs, filtersQuery, parseFilter } from '../../opts/names.ts';
import { formatUsage } from '../container/ls.ts';
import { printTree, type ManifestSummary } from './tree.ts';

/** An entry of `GET /images/json`. */
export interface ImageSummary {
  Id: string;
  RepoTags: string[] | null;
  RepoDigests: string[] | null;
  Created: number;
  Size: number;
  SharedSize: number;
  VirtualSize?: number;
  Containers: number;
  Labels: Record<string, string> | null;
  /** Where it was asked for. */
  Manifests?: ManifestSummary[] | null;
}

export interface ImageRow {
  image: ImageSummary;
  repository: string;
  tag: string;
  digest: string;
}

const none = '<none>';

function splitTag(reference: string): [string, string] {
  const colon = reference.lastIndexOf(':');
  return colon > reference.lastIndexOf('/')
    ? [reference.slice(0, colon), reference.slice(colon + 1)]
    : [reference, none];
}

/** One row for every name of every image. */
export function imageRows(images: readonly ImageSummary[], digests: boolean): ImageRow[] {
  return images.flatMap((image) => {
    const tags = (image.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>').map(splitTag);
    const pinned = (image.RepoDigests ?? [])
      .filter((digest) => digest !== '<none>@<none>')
      .map((digest) => digest.split('@') as [string, string]);
    if (tags.length === 0 && pinned.length === 0)
      return [{ image, repository: none, tag: none, digest: none }];
    const rows: ImageRow[] = [];
    const used = new Set<string>();
    for (const [repository, tag] of tags) {
      const own = pinned.filter(([name]) => name === repository);
      used.add(repository);
      if (digests && own.length > 0)
        for (const [, digest] of own) rows.push({ image, repository, tag, digest });
      else rows.push({ image, repository, tag, digest: none });
    }
    for (const [repository, digest] of pinned) {
      if (used.has(repository)) continue;
      rows.push({ image, repository, tag: none, digest: digests ? digest : none });
      if (!digests) used.add(repository);
    }
    return rows;
  });
}

function count(value: number): string {
  return value === -1 ? 'N/A' : String(value);
}

export function imageListing(full: boolean, digests: boolean): Listing<ImageRow> {
  return {
    typeName: '*formatter.imageContext',
    fields: {
      Containers: ({ image }) => count(image.Containers),
      CreatedAt: ({ image }) => goTime(image.Created * 1000),
      CreatedSince: ({ image }) => (image.Created <= 0 ? 'N/A' : ago(image.Created * 1000)),
      Digest: ({ digest }) => digest,
      ID: ({ image }) => (full ? image.Id : shortId(image.Id)),
      Repository: ({ repository }) => repository,
      SharedSize: ({ image }) => (image.SharedSize === -1 ? 'N/A' : humanSize(image.SharedSize)),
      Size: ({ image }) => humanSize(image.Size, 3),
      Tag: ({ tag }) => tag,
      UniqueSize: ({ image }) => (image.SharedSize === -1 ? 'N/A' : humanSize(image.Size - image.SharedSize)),
      VirtualSize: ({ image }) => humanSize(image.Size),
    },
    headers: {
      ID: 'IMAGE ID',
      Repository: 'REPOSITORY',
      Tag: 'TAG',
      Digest: 'DIGEST',
      CreatedSince: 'CREATED',
      CreatedAt: 'CREATED AT',
      Size: 'SIZE',
      Containers: 'CONTAINERS',
      VirtualSize: 'SIZE',
      SharedSize: 'SHARED SIZE',
      UniqueSize: 'UNIQUE SIZE',
    },
    table: `{{.Repository}}\t{{.Tag}}\t${digests ? '{{.Digest}}\t' : ''}{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}`,
    quiet: '{{.ID}}',
    raw: `repository: {{.Repository}}\ntag: {{.Tag}}\n${digests ? 'digest: {{.Digest}}\n' : ''}image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n`,
  };
}

/** @throws when a flag is given that means nothing in a tree */
function checkTree(flags: Parsed): void {
  for (const name of ['quiet', 'no-trunc', 'digests'] as const) {
    if (flags.bool(name)) throw new Error(`--${name} is not yet supported with --tree`);
  }
  if (flags.text('format') !== '') throw new Error('--format is not yet supported with --tree');
}

export const ls: Command = {
  synopsis: '[OPTIONS] [REPOSITORY[:TAG]]',
  flags: [
    bool('all', 'Show the images that others are built on too', { short: 'a' }),
    bool('digests', 'Show digests'),
    list('filter', 'Show only what matches', { short: 'f', typeName: 'filter', parse: parseFilter }),
    text('format', formatUsage),
    bool('no-trunc', 'Do not shorten anything'),
    bool('quiet', 'Print only the IDs', { short: 'q' }),
    bool('tree', 'Show the platforms of each image'),
  ],
  arity: maxArgs(1),
  run: async (cli, flags) => {
    const client = await cli.client();
    const filters = filterArgs(flags.list('filter'));
    const name = flags.args[0];
    if (name !== undefined) (filters['reference'] ??= []).push(name);
    const tree = flags.bool('tree');
    if (tree) checkTree(flags);
    const images = await client.get<ImageSummary[]>('/images/json', {
      manifests: tree ? 1 : undefined,
      all: flags.bool('all') ? 1 : undefined,
      filters: filtersQuery(filters),
    });
    if (tree) {
      printTree(cli, images);
      return;
    }
    const quiet = flags.bool('quiet');
    const format = flags.text('format') || (!quiet && (await cli.config()).imagesFormat) || '';
    const digests = flags.bool('digests');
    const listing = imageListing(flags.bool('no-trunc'), digests);
    render(cli, listing, imageRows(images, digests || /\.Digest\b/.test(format)), { format, quiet });
  },
};
