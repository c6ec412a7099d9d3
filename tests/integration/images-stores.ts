import type { LayerUnpacker } from '../../src/archive/index.ts';
import { LocalContentStore } from '../../src/content/index.ts';
import { MemoryEventBus } from '../../src/events/index.ts';
import { applyChanges } from '../../src/builder/index.ts';
import { LocalImages } from '../../src/images/index.ts';
import { openRecords, type Records } from '../../src/records/index.ts';
import type { Registries } from '../../src/registry/index.ts';
import { openSnapshotter, type Snapshotter } from '../../src/snapshots/index.ts';
import { linuxSyscall } from '../../src/sys/index.ts';

export interface ImageStores {
  images: LocalImages;
  content: LocalContentStore;
  snapshotter: Snapshotter;
  records: Records;
}

/** Images over stores on disk, composed as the engine composes them. */
export async function openTestImages(
  root: string,
  unpacker: LayerUnpacker,
  driver = 'overlay2',
  registries?: Registries,
): Promise<ImageStores> {
  const records = openRecords(`${root}/records.db`);
  const snapshotter = await openSnapshotter({ dataRoot: root, syscall: linuxSyscall(), driver });
  const content = new LocalContentStore(`${root}/content`);
  const images = new LocalImages({
    content,
    snapshotter,
    records,
    events: new MemoryEventBus(),
    ...(registries === undefined ? {} : { registries }),
    unpackLayer: (request, options) => unpacker.unpack(request, options),
    applyChanges,
  });
  await images.open();
  return { images, content, snapshotter, records };
}
