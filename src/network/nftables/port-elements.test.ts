import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elementCommand, kernelElement } from './element.ts';
import { portElements, shiftedRanges } from './port-elements.ts';

const forward = (hostPort: number, containerPort: number, hostAddress = '0.0.0.0', address = '10.0.0.2') => ({
  port: { protocol: 'tcp', containerPort, hostAddress, hostPort } as const,
  address,
});
const commands = (forwards: Parameters<typeof portElements>[0]) =>
  portElements(forwards).map((element) => elementCommand('add', 't', element).trim());

test('portElements() makes one element of neighbouring ports, whatever their numbers inside', () => {
  const forwards = Array.from({ length: 10_000 }, (_, i) => forward(20000 + i, 20000 + i));
  forwards.push(...Array.from({ length: 10_000 }, (_, i) => forward(5000 + i, 6000 + i, '::', 'fd00::2')));
  forwards.push(forward(8080, 80), forward(8081, 80, '127.0.0.1'), forward(20000, 20000, '127.0.0.1'));
  assert.deepEqual(commands(forwards).sort(), [
    'add element inet t bound_ports { 127.0.0.1 . tcp . 20000 : 10.0.0.2 . 20000 }',
    'add element inet t bound_ports { 127.0.0.1 . tcp . 8081 : 10.0.0.2 . 80 }',
    'add element inet t port_ranges { tcp . 20000-29999 : 10.0.0.2 . 0-29999 }',
    'add element inet t port_ranges6 { tcp . 5000-14999 : fd00::2 . 1000-15999 }',
    'add element inet t ports { tcp . 8080 : 10.0.0.2 . 80 }',
  ]);
  const [one] = portElements([forward(8080, 80)]);
  assert.ok(one !== undefined);
  assert.equal(elementCommand('delete', 't', one), 'delete element inet t ports { tcp . 8080 }\n');
});

test('portElements() opens a container’s own address where nothing is translated', () => {
  assert.deepEqual(commands([{ ...forward(80, 80), direct: true }]), [
    'add element inet t open_ports { 10.0.0.2 . tcp . 80-80 }',
  ]);
});

test('kernelElement() has the bytes of what elementCommand() writes', () => {
  const [range] = portElements([forward(9000, 80), forward(9001, 81)]);
  assert.ok(range !== undefined);
  const { key, keyEnd, value } = kernelElement('t', range);
  const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');
  assert.deepEqual([hex(key), hex(keyEnd)], ['0600000023280000', '0600000023290000']);
  assert.equal(hex(value), '0a000002000000000a00000222d70000');
});

test('shiftedRanges() are parts in each of which the kernel’s arithmetic gives the right port', () => {
  const cases = [
    [5000, 14999, 5000],
    [9000, 9999, 80],
    [1000, 65000, 500],
    [1, 65535, 1],
    [80, 180, 40000],
    [65000, 65535, 1],
    [2, 65535, 1],
    [65534, 65535, 65533],
  ] as const;
  for (const [first, last, newFirst] of cases) {
    const parts = shiftedRanges(first, last, newFirst);
    assert.ok(parts.length <= 16, `${parts.length} parts`);
    let port = first as number;
    for (const part of parts) {
      assert.equal(part.first, port);
      assert.ok(part.low >= 0 && part.high <= 65535 && part.high >= part.low);
      for (; port <= part.last; port++) {
        const moved = part.low + (port % (part.high - part.low + 1));
        assert.equal(moved, port + newFirst - first);
      }
    }
    assert.equal(port, last + 1);
  }
});
