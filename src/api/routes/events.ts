import { EngineError } from '../../errors/index.ts';
import { eventFilter, type EventBus } from '../../events/index.ts';
import type { EventMessage } from '../../spec/index.ts';
import type { ApiVersion } from '../api-version.ts';
import type { Exchange } from '../exchange.ts';
import { filters, text, timestamp, type QueryValues } from '../query.ts';
import { route, type Route } from '../route.ts';

/** A client that reads slower than things happen is cut off when this much waits for it. */
const maximumQueuedBytes = 4 * 1024 * 1024;
const longestTimerMs = 2 ** 31 - 1;

const query = { since: timestamp, until: timestamp, filters };

export function eventRoutes(events: Pick<EventBus, 'subscribe' | 'recent'>, listeners: Listeners): Route[] {
  return [
    route({
      method: 'GET',
      path: '/events',
      operation: 'SystemEvents',
      query,
      handle: (exchange, values) => stream(events, exchange, values, listeners),
    }),
  ];
}

/** How many clients listen, for `info`. */
export interface Listeners {
  count: number;
}

function stream(
  events: Pick<EventBus, 'subscribe' | 'recent'>,
  exchange: Exchange,
  { since, until, filters: asked }: QueryValues<typeof query>,
  listeners: Listeners,
): Promise<void> {
  if (since !== undefined && until !== undefined && until < since) {
    const parameters = new URL(exchange.request.url ?? '/', 'http://localhost').searchParams;
    throw new EngineError(
      'invalid-parameter',
      `\`since\` time (${text(parameters, 'since')}) cannot be after \`until\` time (${text(parameters, 'until')})`,
    );
  }
  const chosen = eventFilter(asked);
  const { version, response } = exchange;
  const wanted = (event: EventMessage): boolean =>
    (version >= 46 || event.Type !== 'image' || event.Action !== 'create') && chosen(event);
  exchange.open(200, {
    'Content-Type': version < 52 ? 'application/json' : 'application/jsonl',
  });
  const send = (event: EventMessage): void => {
    if (!wanted(event)) return;
    response.write(encodeEvent(event, version));
    if (response.writableLength > maximumQueuedBytes) response.destroy();
  };
  if (since !== undefined || until !== undefined) {
    for (const event of events.recent()) {
      const early = since !== undefined && event.timeNano < since;
      const late = until !== undefined && event.timeNano > until;
      if (!early && !late && since !== undefined) send(event);
    }
  }
  const remainingMs = until === undefined ? undefined : Number(until / 1_000_000n) - Date.now();
  if (remainingMs !== undefined && remainingMs <= 0) {
    response.end();
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const subscription = events.subscribe(send);
    listeners.count++;
    const timer =
      remainingMs === undefined
        ? undefined
        : setTimeout(() => response.end(), Math.min(remainingMs, longestTimerMs));
    response.once('close', () => {
      clearTimeout(timer);
      subscription.remove();
      listeners.count--;
      resolve();
    });
  });
}

/** One line. The legacy members of before API 1.22 stayed until 1.52; nanoseconds are a number too big for `number`. */
export function encodeEvent(event: EventMessage, version: ApiVersion): string {
  const legacy: Record<string, string> = {};
  if (version < 52 && (event.Type === 'container' || event.Type === 'image')) {
    legacy['status'] = event.Action;
    legacy['id'] = event.Actor.ID;
    const from = event.Type === 'container' ? event.Actor.Attributes['image'] : undefined;
    if (from !== undefined) legacy['from'] = from;
  }
  const { timeNano, ...rest } = event;
  const line = JSON.stringify({ ...legacy, ...rest });
  return `${line.slice(0, -1)},"timeNano":${timeNano}}\n`;
}
