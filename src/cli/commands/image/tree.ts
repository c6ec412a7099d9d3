import type { Cli } from '../../cli.ts';
import { displayLength } from '../../format/tabwriter.ts';
import { humanSize, shortId } from '../../format/units.ts';
import type { ImageSummary } from './ls.ts';

/** What `--tree` needs of an element of `Manifests`. */
export interface ManifestSummary {
  ID: string;
  Kind: string;
  Available: boolean;
  Size: { Content: number; Total: number };
  ImageData?: {
    Platform: { os: string; architecture: string; variant?: string };
    Containers: string[] | null;
  };
}

interface Line {
  name: string;
  details?: { id: string; usage: string; content: string; inUse: boolean };
  faint?: boolean;
}

const gap = '   ';
const titles = { name: 'IMAGE', id: 'ID', usage: 'DISK USAGE', content: 'CONTENT SIZE', extra: 'EXTRA' };

/** `docker image ls --tree`: images with their platforms; those that are not here are faint on a terminal. */
export function printTree(cli: Cli, images: readonly ImageSummary[]): void {
  const blocks = images.map(imageLines);
  const lines = blocks.flat();
  const width = Math.max(titles.name.length, ...lines.map(({ name }) => displayLength(name)));
  const terminal = cli.isTerminal(1);
  const anyInUse = lines.some(({ details }) => details?.inUse === true);
  cli.out(
    `${[
      titles.name.padEnd(width),
      titles.id.padEnd(12),
      titles.usage,
      titles.content,
      titles.extra.padEnd(5),
    ].join(gap)}\n`,
  );
  const spaced = blocks.some((block) => block.some(isPlatform));
  for (const [at, block] of blocks.entries()) {
    for (const line of block) {
      const name = line.name + ' '.repeat(width - displayLength(line.name));
      const { details } = line;
      const cells =
        details === undefined
          ? [line.name]
          : [
              name,
              details.id.padEnd(12),
              details.usage.padStart(titles.usage.length),
              details.content.padStart(titles.content.length),
              (anyInUse ? (details.inUse ? 'U' : ' ') : '').padEnd(titles.extra.length),
            ];
      const text = cells.join(gap);
      cli.out(`${terminal && line.faint === true ? `\x1b[2m${text}\x1b[0m` : text}\n`);
    }
    if (spaced && at < blocks.length - 1) cli.out('\n');
  }
}

function imageLines(image: ImageSummary): Line[] {
  const platforms = (image.Manifests ?? []).filter(({ Kind }) => Kind === 'image');
  const used = (manifest: ManifestSummary): boolean => (manifest.ImageData?.Containers ?? []).length > 0;
  const content = (image.Manifests ?? []).reduce((sum, { Size }) => sum + Size.Content, 0);
  const names = (image.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>').toSorted();
  const top = {
    id: shortId(image.Id),
    usage: humanSize(image.Size, 3),
    content: humanSize(content, 3),
    inUse: image.Containers > 0 || platforms.some(used),
  };
  const last = names.pop() ?? '<untagged>';
  return [
    ...names.map((name) => ({ name })),
    { name: last, details: top },
    ...platforms.map((manifest, at): Line => {
      const { os = '', architecture = '', variant } = manifest.ImageData?.Platform ?? {};
      const branch = at === platforms.length - 1 ? '└─' : '├─';
      return {
        name: `${branch} ${[os, architecture, variant].filter(Boolean).join('/')}`,
        faint: !manifest.Available,
        details: {
          id: shortId(manifest.ID),
          usage: humanSize(manifest.Size.Total, 3),
          content: humanSize(manifest.Size.Content, 3),
          inUse: used(manifest),
        },
      };
    }),
  ];
}

function isPlatform({ name }: Line): boolean {
  return name.startsWith('├─') || name.startsWith('└─');
}
