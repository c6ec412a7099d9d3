import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetworkResource } from '../spec/index.ts';
import { networkFilter, networkPruneFilter } from './network-filter.ts';

const network = (name: string, change: Partial<NetworkResource> = {}): NetworkResource => ({
  Name: name,
  Id: `${name}0123456789`,
  Created: '2026-01-01T00:00:00.123456789Z',
  Scope: 'local',
  Driver: 'bridge',
  EnableIPv4: true,
  EnableIPv6: false,
  IPAM: { Driver: 'default', Options: null, Config: [] },
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: '' },
  ConfigOnly: false,
  Containers: {},
  Options: {},
  Labels: {},
  ...change,
});
const container = { Name: 'c', EndpointID: 'e', MacAddress: '', IPv4Address: '', IPv6Address: '' };
const all = [
  network('bridge'),
  network('host', { Driver: 'host' }),
  network('app', { Labels: { tier: 'web' }, Containers: { c: container } }),
  network('app-db', { Created: '2026-03-01T00:00:00Z' }),
  network('lan', { Driver: 'macvlan', Labels: { tier: 'lan' } }),
  network('base', { Driver: 'null', ConfigOnly: true }),
];
const names = (choose: (one: NetworkResource) => boolean) => all.filter(choose).map(({ Name }) => Name);

const lists: [Record<string, string[]>, string[]][] = [
  [{}, all.map(({ Name }) => Name)],
  [{ name: ['app'] }, ['app', 'app-db']],
  [{ name: ['^app$', 'lan'] }, ['app', 'lan']],
  [{ name: ['['] }, []],
  [{ id: ['lan012'] }, ['lan']],
  [{ driver: ['macvlan', 'host'] }, ['host', 'lan']],
  [{ scope: ['swarm'] }, []],
  [{ type: ['builtin'] }, ['bridge', 'host']],
  [{ type: ['custom'], driver: ['bridge'] }, ['app', 'app-db']],
  [{ dangling: ['true'] }, ['app-db', 'lan', 'base']],
  [{ dangling: ['0'] }, ['bridge', 'host', 'app']],
  [{ label: ['tier=web'] }, ['app']],
  [{ label: ['tier'], driver: ['macvlan'] }, ['lan']],
];
for (const [filters, expected] of lists) {
  test(`networkFilter() for ${JSON.stringify(filters)}`, () => {
    assert.deepEqual(names(networkFilter(new Map(Object.entries(filters)))), expected);
  });
}

const refusals: [Record<string, string[]>, RegExp, string][] = [
  [{ type: ['x'] }, /invalid filter: 'type'='x'/, 'internal'],
  [{ dangling: ['x'] }, /invalid value for filter 'dangling'/, 'invalid-parameter'],
  [{ dangling: ['1', '0'] }, /more than one value for filter key "dangling"/, 'invalid-parameter'],
  [{ until: ['1'] }, /invalid filter 'until'/, 'invalid-parameter'],
];
for (const [filters, message, kind] of refusals) {
  test(`networkFilter() refuses ${JSON.stringify(filters)}`, () => {
    assert.throws(() => networkFilter(new Map(Object.entries(filters))), { kind, message });
  });
}

test('networkPruneFilter() takes what nobody uses, was made before, and is labelled so', () => {
  const prune = (filters: Record<string, string[]>) =>
    names(networkPruneFilter(new Map(Object.entries(filters))));
  assert.deepEqual(prune({}), ['app-db', 'lan']);
  assert.deepEqual(prune({ until: ['2026-02-01T00:00:00Z'] }), ['lan']);
  assert.deepEqual(prune({ 'label!': ['tier'] }), ['app-db']);
  assert.deepEqual(prune({ label: ['tier=lan'] }), ['lan']);
  assert.throws(() => prune({ until: ['1', '2'] }), /more than one until filter/);
  assert.throws(() => prune({ name: ['x'] }), /invalid filter 'name'/);
});
