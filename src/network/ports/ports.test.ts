import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind, SyscallError } from '../../errors/index.ts';
import { recordingSyscall } from '../../sys/index.ts';
import { PortAllocator } from './port-allocator.ts';
import { portMap, wantedPorts } from './published-port.ts';

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
  return wantedPorts({ bindings, exposed: null, publishAll: false }, host);
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
    '127.0.0.1',
  );
  assert.deepEqual(
    wanted.map(({ protocol, containerPort, hostAddress, firstHostPort }) => [
      containerPort,
      protocol,
      hostAddress,
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
      () => wantedPorts({ bindings, exposed: null, publishAll: false }, '0.0.0.0'),
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
  ports.release([...one, ...two]);
  assert.deepEqual(portMap(ports.allocate(want('8080:80'))), {
    '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }],
  });
});

test('PortAllocator.allocate() goes round the dynamic ports, past those of programs', () => {
  const ports = new PortAllocator(kernel([40001]), range);
  const next = (): number | undefined => ports.allocate(want(':80'))[0]?.hostPort;
  const [first, second, third] = [next(), next(), next()];
  assert.deepEqual([first, second, third], [40000, 40002, 40003]);
  assert.throws(next, /all ports are allocated/);
});

test('PortAllocator.allocate() takes the first free port of a range', () => {
  const ports = new PortAllocator(kernel([8000]), range);
  assert.equal(ports.allocate(want('8000-8002:80'))[0]?.hostPort, 8001);
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
  assert.equal(ports.allocate(want('8080:80')).length, 1);
});

test('PortAllocator.adopt() keeps ports that a program took meanwhile, and says so', () => {
  const ports = new PortAllocator(kernel([8080]), range);
  const port = { protocol: 'tcp', containerPort: 80, hostAddress: '0.0.0.0', hostPort: 8080 } as const;
  assert.deepEqual(ports.adopt([port]), [port]);
  assert.throws(() => ports.allocate(want('8080:80')), /already allocated/);
});
