import { EngineError } from '../errors/index.ts';
import type { EventMessage } from '../spec/index.ts';
import type { EventFilter } from './bus.ts';

const known = new Set([
  'config',
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'node',
  'plugin',
  'scope',
  'secret',
  'service',
  'type',
  'volume',
]);

/** Actions that carry more after a colon, so that naming the action alone selects them by its beginning. */
const actionsWithText = ['health_status', 'exec_create', 'exec_start'];

/**
 * Docker's `events --filter`: values of one name are alternatives, names are all required.
 * @param filters name to values, e.g. `type` → `['container']`, `label` → `['a=b']`
 * @throws {EngineError} `invalid-parameter` for a name that Docker does not have
 * @see moby daemon/events/filter.go
 */
export function eventFilter(filters: ReadonlyMap<string, readonly string[]>): EventFilter {
  for (const name of filters.keys()) {
    if (!known.has(name)) throw new EngineError('invalid-parameter', `invalid filter '${name}'`);
  }
  const tests: EventFilter[] = [];
  for (const [name, values] of filters) {
    if (values.length > 0) tests.push((event) => matches(event, name, values));
  }
  return (event) => tests.every((test) => test(event));
}

function matches(event: EventMessage, name: string, values: readonly string[]): boolean {
  switch (name) {
    case 'type':
      return values.includes(event.Type);
    case 'scope':
      return values.includes(event.scope);
    case 'event':
      return matchesAction(event.Action, values);
    case 'label':
      return values.every((value) => hasLabel(event.Actor.Attributes, value));
    case 'image':
      return matchesImage(event, values);
    default:
      return event.Type === name && values.some((value) => isNamed(event, value));
  }
}

function matchesAction(action: string, values: readonly string[]): boolean {
  if (values.some((value) => actionsWithText.includes(value))) {
    return values.some((value) => action.startsWith(value));
  }
  return values.includes(action);
}

function isNamed(event: EventMessage, value: string): boolean {
  const name = event.Actor.Attributes['name'];
  return (
    event.Actor.ID.startsWith(value) || (name !== undefined && name.startsWith(value.replace(/^\//, '')))
  );
}

/** Image events by id or name, container events by the image they come from; with or without the tag. */
function matchesImage(event: EventMessage, values: readonly string[]): boolean {
  const attribute = event.Type === 'image' ? 'name' : 'image';
  const name = event.Actor.Attributes[attribute] ?? '';
  const candidates = [name, withoutTag(name)];
  if (event.Type === 'image') candidates.push(event.Actor.ID, withoutTag(event.Actor.ID));
  return values.some((value) => candidates.includes(value));
}

function withoutTag(reference: string): string {
  const base = reference.split('@')[0] ?? reference;
  const colon = base.lastIndexOf(':');
  return colon > base.lastIndexOf('/') ? base.slice(0, colon) : base;
}

function hasLabel(attributes: Record<string, string>, wanted: string): boolean {
  const equals = wanted.indexOf('=');
  if (equals < 0) return Object.hasOwn(attributes, wanted);
  const key = wanted.slice(0, equals);
  return Object.hasOwn(attributes, key) && attributes[key] === wanted.slice(equals + 1);
}
