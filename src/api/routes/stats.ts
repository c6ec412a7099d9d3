import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerRecord, Containers } from '../../containers/index.ts';
import type { Exchange } from '../exchange.ts';
import { drained } from '../log-stream.ts';
import { flag, flagOr } from '../query.ts';
import { route, type Route } from '../route.ts';
import { readStats, type StatsSample } from '../stats/read-stats.ts';
import { statsView } from '../stats/stats-view.ts';

const intervalMs = 1000;

/** What this route needs of the engine. */
export type StatsBackend = Pick<Containers, 'inspect'>;

export function statsRoutes(containers: StatsBackend, memoryTotalBytes: () => number): Route[] {
  const sample = (record: ContainerRecord): StatsSample | undefined =>
    record.state.pid > 0 ? readStats(record.state.pid, memoryTotalBytes()) : undefined;
  return [
    route({
      method: 'GET',
      path: '/containers/{id}/stats',
      operation: 'ContainerStats',
      query: { stream: flagOr(true), 'one-shot': flag },
      async handle(exchange, query) {
        const record = containers.inspect(exchange.params['id'] ?? '');
        const view = (now: StatsSample | undefined, before: StatsSample | undefined) =>
          statsView(record, now, before, exchange.version);
        if (query.stream) {
          await stream(exchange, () => sample(containers.inspect(record.id)), view);
          return;
        }
        const first = sample(record);
        if (first === undefined || (query['one-shot'] && exchange.version >= 41)) {
          exchange.json(200, view(first, undefined));
          return;
        }
        // A rate needs two samples.
        try {
          await sleep(intervalMs, undefined, { signal: exchange.signal });
        } catch {
          return;
        }
        exchange.json(200, view(sample(containers.inspect(record.id)), first));
      },
    }),
  ];
}

/** A sample each second until the client goes away or the container is removed. */
async function stream(
  exchange: Exchange,
  sample: () => StatsSample | undefined,
  view: (now: StatsSample | undefined, before: StatsSample | undefined) => object,
): Promise<void> {
  const { response, signal } = exchange;
  exchange.open(200, { 'Content-Type': 'application/json' });
  let before: StatsSample | undefined;
  try {
    while (!signal.aborted) {
      const now = sample();
      response.write(`${JSON.stringify(view(now, before))}\n`);
      before = now;
      await drained(response, signal);
      await sleep(intervalMs, undefined, { signal });
    }
  } catch {
    // The client is gone, or the container: either ends the stream.
  }
  response.end();
}
