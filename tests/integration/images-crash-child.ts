/** Loads and removes images for ever, over the stores in the directory given; to be killed. */
import { LayerUnpacker } from '../../src/archive/index.ts';
import { openTestImages } from './images-stores.ts';
import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';

const [root = '', archives = ''] = process.argv.slice(2);
const { images } = await openTestImages(root, new LayerUnpacker());
const names = readdirSync(archives);
process.stdout.write('ready\n');
for (let round = 0; ; round += 1) {
  await Promise.allSettled(names.map((name) => images.load(createReadStream(join(archives, name)), {})));
  const tag = images.list()[round % 2]?.tags[0];
  if (tag !== undefined) await images.remove(tag, { force: true, prune: true, usedBy: () => [] });
}
