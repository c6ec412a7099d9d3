import type { EventMessage, EventType } from '../spec/index.ts';
import type { EventBus } from './bus.ts';

/** As many as Docker keeps for `since` (moby daemon/events, eventsLimit). */
const recentLimit = 256;

/**
 * The event bus in this process's memory. Times never go backwards and never repeat, so that `since` with the last
 * event's time leaves nothing out.
 */
export class MemoryEventBus implements EventBus {
  readonly #listeners = new Set<(event: EventMessage) => void>();
  readonly #onListenerError: (error: unknown) => void;
  #recent: EventMessage[] = [];
  #lastNano = 0n;

  /** @param onListenerError told of a listener that threw; the others get the event all the same. */
  constructor(onListenerError: (error: unknown) => void = () => undefined) {
    this.#onListenerError = onListenerError;
  }

  publish(type: EventType, action: string, id: string, attributes: Record<string, string>): void {
    const event: EventMessage = {
      Type: type,
      Action: action,
      Actor: { ID: id, Attributes: { ...attributes } },
      scope: 'local',
      ...this.#stamp(),
    };
    this.#recent.push(event);
    // Cut in blocks: shifting 256 elements for every event would cost more than the event.
    if (this.#recent.length >= recentLimit * 2) this.#recent = this.#recent.slice(-recentLimit);
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#onListenerError(error);
      }
    }
  }

  subscribe(listener: (event: EventMessage) => void): { remove(): void } {
    // A wrapper, so that one function subscribed twice is two subscriptions.
    const own = (event: EventMessage): void => listener(event);
    this.#listeners.add(own);
    return { remove: () => void this.#listeners.delete(own) };
  }

  recent(): readonly EventMessage[] {
    return this.#recent.slice(-recentLimit);
  }

  #stamp(): { time: number; timeNano: bigint } {
    let nano = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
    // The wall clock may have been set since the process began; Date.now() follows it, the origin does not.
    const wall = BigInt(Date.now()) * 1_000_000n;
    const drift = nano > wall ? nano - wall : wall - nano;
    if (drift > 2_000_000n) nano = wall;
    if (nano <= this.#lastNano) nano = this.#lastNano + 1n;
    this.#lastNano = nano;
    return { time: Number(nano / 1_000_000_000n), timeNano: nano };
  }
}
