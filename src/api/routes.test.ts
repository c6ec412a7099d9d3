import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fakeEngine } from './fake-engine.ts';
import { apiRoutes } from './routes.ts';
import { testApiOptions } from './test-server.ts';

const specification = process.env['CORACLE_API_SPECIFICATION'] ?? '../shared/reference/engine-api-1.56.yaml';
const skip = existsSync(specification) ? false : `no API specification at ${specification}`;

/** `METHOD /path` with parameters' names left out, since ours may differ. */
const shape = (method: string, path: string): string => `${method} ${path.replace(/\{\w+\}/g, '{}')}`;

function specifiedOperations(): Map<string, string> {
  const operations = new Map<string, string>();
  let path = '';
  let method = '';
  for (const line of readFileSync(specification, 'utf8').split('\n')) {
    const pathLine = /^ {2}"?(\/[^":]*)"?:$/.exec(line);
    if (pathLine !== null) path = pathLine[1] as string;
    const methodLine = /^ {4}(get|head|post|put|delete):$/.exec(line);
    if (methodLine !== null) method = (methodLine[1] as string).toUpperCase();
    const operation = /^ {6}operationId: "?(\w+)"?/.exec(line);
    if (operation !== null) operations.set(shape(method, path), operation[1] as string);
  }
  return operations;
}

test('apiRoutes() has every operation of the specification under its name', { skip }, () => {
  const ours = new Map(
    apiRoutes(fakeEngine(), testApiOptions).map((route) => [shape(route.method, route.path), route]),
  );
  const specified = specifiedOperations();
  assert.ok(specified.size > 95, 'the specification was read');
  const missing = [...specified].filter(([key, name]) => ours.get(key)?.operation !== name);
  assert.deepEqual(missing, []);
});

test(
  'apiRoutes() has nothing that the specification does not know, but what is in parentheses',
  { skip },
  () => {
    const specified = specifiedOperations();
    const surplus = apiRoutes(fakeEngine(), testApiOptions)
      .filter((route) => !route.operation.startsWith('('))
      .filter((route) => !specified.has(shape(route.method, route.path)))
      .map((route) => `${route.method} ${route.path}`);
    assert.deepEqual(surplus, []);
  },
);

test('apiRoutes() lists no operation twice', () => {
  const keys = apiRoutes(fakeEngine(), testApiOptions).map((route) => shape(route.method, route.path));
  assert.deepEqual(
    keys.filter((key, at) => keys.indexOf(key) !== at),
    [],
  );
});
