export type EventType =
  | 'builder'
  | 'config'
  | 'container'
  | 'daemon'
  | 'image'
  | 'network'
  | 'node'
  | 'plugin'
  | 'secret'
  | 'service'
  | 'volume';

/** Docker Engine API `EventMessage` (API 1.22+ shape; the API room adds the older members for containers and images). */
export interface EventMessage {
  Type: EventType;
  /** e.g. `start`, `exec_create: sh -c true`. */
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  scope: 'local' | 'swarm';
  /** Seconds since the epoch. */
  time: number;
  /** Nanoseconds since the epoch; JSON number, so written from a bigint by the API room. */
  timeNano: bigint;
}
