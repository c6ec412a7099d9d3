import type { Containers } from '../containers/index.ts';

/** The containers that an image cannot go away from under, and whether they run now. */
export function imageUsers(
  containers: Pick<Containers, 'list'>,
  imageId: string,
): { id: string; running: boolean }[] {
  return containers
    .list({ all: true })
    .filter((record) => record.imageId === imageId)
    .map(({ id, state }) => ({ id, running: ['running', 'paused', 'restarting'].includes(state.status) }));
}
