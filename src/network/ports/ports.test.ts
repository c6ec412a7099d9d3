import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind, SyscallError } from '../../errors/index.ts';
import { recordingSyscall } from '../../sys/index.ts';
import { PortAllocator } from './port-allocator.ts';
import { MAX_UNASKED_PROXIES, portMap, wantedPorts } from './published-port.ts';

const ipv4Only = { ipv4: 'translated', ipv6: 'none' } as const;
const range = { first: 40000, last: 40003 };

/** A kernel where programs hold these ports. */
function kernel(held: readonly number[] = []) {
  let next = 100;
  return recordingSyscall({
    socket: () => next++,
    bind: (_fd, address, port) => {
      if (held.includes(port)) throw new SyscallError('bind', 'EADDRINUSE', `${address}:${port}`);
      return port;
    },
  });
}

const want = (text: string, host = '0.0.0.0') => {
  const [hostPort = '', containerPort = ''] = text.split(':');
  const bindings = { [`${containerPort}/tcp`]: [{ HostIp: '', HostPort: hostPort }] };
  return wantedPorts({ bindings, exposed: null, publishAll: false }, { ...ipv4Only, defaultAddress: host });
};

test('wantedPorts() puts fixed ports first and publishes what is exposed when asked', () => {
  const wanted = wantedPorts(
    {
      bindings: {
        '80/tcp': [{ HostIp: '', HostPort: '' }],
        '81': [{ HostIp: '10.0.0.1', HostPort: '8081' }],
      },
      exposed: { '53/udp': {}, '80/tcp': {} },
      publishAll: true,
    },
    { ...ipv4Only, defaultAddress: '127.0.0.1' },
  );
  assert.deepEqual(
    wanted.map(({ protocol, containerPort, hostAddresses, firstHostPort }) => [
      containerPort,
      protocol,
      hostAddresses.join(),
      firstHostPort,
    ]),
    [
      [81, 'tcp', '10.0.0.1', 8081],
      [53, 'udp', '127.0.0.1', 0],
      [80, 'tcp', '127.0.0.1', 0],
    ],
  );
});

test('wantedPorts() refuses what is no port', () => {
  for (const [hostPort, port] of [
    ['x', '80'],
    ['9-8', '80'],
    ['70000', '80'],
    ['80', '0'],
    ['80', '80/icmp'],
  ] as const) {
    const bindings = { [port]: [{ HostIp: '', HostPort: hostPort }] };
    assert.throws(
      () => wantedPorts({ bindings, exposed: null, publishAll: false }, ipv4Only),
      (error) => isKind(error, 'invalid-parameter'),
      `${hostPort}:${port}`,
    );
  }
});

test('PortAllocator.allocate() gives a port once on all addresses, or once on each', () => {
  const ports = new PortAllocator(kernel(), range);
  const one = ports.allocate(want('8080:80', '127.0.0.1'));
  assert.throws(
    () => ports.allocate(want('8080:80')),
    /Bind for 0\.0\.0\.0:8080 failed: port is already allocated/,
  );
  const two = ports.allocate(want('8080:80', '10.0.0.1'));
  assert.throws(() => ports.allocate(want('8080:80', '10.0.0.1')), /already allocated/);
  ports.release([...one.ports, ...two.ports]);
  assert.deepEqual(portMap(ports.allocate(want('8080:80')).ports), {
    '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }],
  });
});

test('PortAllocator.allocate() goes round the dynamic ports, past those of programs', () => {
  const ports = new PortAllocator(kernel([40001]), range);
  const next = (): number | undefined => ports.allocate(want(':80')).ports[0]?.hostPort;
  const [first, second, third] = [next(), next(), next()];
  assert.deepEqual([first, second, third], [40000, 40002, 40003]);
  assert.throws(next, /all ports are allocated/);
});

test('PortAllocator.allocate() takes the first free port of a range', () => {
  const ports = new PortAllocator(kernel([8000]), range);
  assert.equal(ports.allocate(want('8000-8002:80')).ports[0]?.hostPort, 8001);
});

test('PortAllocator.allocate() is undone when a program has one of the ports, whose socket is closed', () => {
  const syscall = kernel([8081]);
  const ports = new PortAllocator(syscall, range);
  assert.throws(
    () => ports.allocate([...want('8080:80'), ...want('8081:81')]),
    /failed to bind host port 0\.0\.0\.0:8081\/tcp: address already in use/,
  );
  const closed = syscall.calls.filter(({ name }) => name === 'close').length;
  assert.equal(closed, syscall.calls.filter(({ name }) => name === 'socket').length);
  assert.equal(ports.allocate(want('8080:80')).ports.length, 1);
});

test('PortAllocator.adopt() takes ports whose sockets somebody else holds', () => {
  const ports = new PortAllocator(kernel([8080]), range);
  const port = { protocol: 'tcp', containerPort: 80, hostAddress: '0.0.0.0', hostPort: 8080 } as const;
  ports.adopt([port]);
  assert.throws(() => ports.allocate(want('8080:80')), /already allocated/);
});

const addressesOf = (HostIp: string, target: Parameters<typeof wantedPorts>[1], key = '80') =>
  wantedPorts(
    { bindings: { [key]: [{ HostIp, HostPort: '8080' }] }, exposed: null, publishAll: false },
    target,
  )[0]?.hostAddresses;

test('wantedPorts() means all families of the container, and none that it has not', () => {
  const of = addressesOf;
  const both = { ipv4: 'translated', ipv6: 'translated' } as const;
  assert.deepEqual(of('', both), ['0.0.0.0', '::']);
  assert.deepEqual(of('', ipv4Only), ['0.0.0.0']);
  assert.deepEqual(of('', { ...both, ipv6: 'direct' }), ['0.0.0.0']);
  assert.deepEqual(of('::1', both), ['::1']);
  assert.deepEqual(of('::1', { ...both, ipv6: 'direct' }), []);
  assert.deepEqual(of('::1', ipv4Only), []);
  assert.deepEqual(of('', { ...both, defaultAddress: '0.0.0.0' }), ['0.0.0.0', '::']);
  assert.deepEqual(of('', { ...both, defaultAddress: '10.0.0.1' }), ['10.0.0.1']);
  assert.throws(() => of('nonsense', both), /not an address/);
});

test('wantedPorts() means IPv6 too where a proxy leads into a container without, unless ports are many', () => {
  const proxied = { ...ipv4Only, hasProxy: true };
  assert.deepEqual(addressesOf('', proxied), ['0.0.0.0', '::']);
  assert.deepEqual(addressesOf('', proxied, '80/sctp'), ['0.0.0.0']);
  assert.deepEqual(addressesOf('::1', proxied), ['::1']);
  assert.deepEqual(addressesOf('127.0.0.1', proxied), ['127.0.0.1']);
  assert.deepEqual(addressesOf('', { ...proxied, ipv4: 'direct' }), []);
  const ports = Array.from({ length: MAX_UNASKED_PROXIES + 1 }, (_, index) => String(index + 1));
  const many = (HostIp: string) =>
    wantedPorts(
      {
        bindings: Object.fromEntries(ports.map((port) => [port, [{ HostIp, HostPort: port }]])),
        exposed: null,
        publishAll: false,
      },
      proxied,
    );
  assert.deepEqual(many('')[0]?.hostAddresses, ['0.0.0.0']);
  assert.deepEqual(many('::1')[0]?.hostAddresses, ['::1']);
});

test('PortAllocator.allocate() gives one number on both families, past a program that has it on one', () => {
  const syscall = recordingSyscall({
    socket: () => 7,
    bind: (_fd, address, port) => {
      if (address === '::' && port === 40000) throw new SyscallError('bind', 'EADDRINUSE', address);
      return port;
    },
  });
  const ports = new PortAllocator(syscall, range);
  const wanted = { protocol: 'tcp', containerPort: 80, hostAddresses: ['0.0.0.0', '::'] } as const;
  const { ports: got, held } = ports.allocate([{ ...wanted, firstHostPort: 0, lastHostPort: 0 }]);
  assert.deepEqual(
    got.map(({ hostAddress, hostPort }) => [hostAddress, hostPort]),
    [
      ['0.0.0.0', 40001],
      ['::', 40001],
    ],
  );
  assert.equal(held.length, 2);
  assert.equal(syscall.calls.filter(({ name }) => name === 'close').length, 2);
  assert.throws(
    () => ports.allocate([{ ...wanted, firstHostPort: 40001, lastHostPort: 40001 }]),
    /Bind for 0\.0\.0\.0:40001 failed/,
  );
});
