import type { EventMessage, EventType } from '../spec/index.ts';

export type EventFilter = (event: EventMessage) => boolean;

/** Everything that happens to containers, images, volumes, networks and the daemon, in order. */
export interface EventBus {
  /** Stamps the time and hands it to every subscriber; synchronous, never throws. */
  publish(type: EventType, action: string, id: string, attributes: Record<string, string>): void;
  subscribe(listener: (event: EventMessage) => void): { remove(): void };
  /** The last 256 events, as Docker keeps them, oldest first. */
  recent(): readonly EventMessage[];
}
