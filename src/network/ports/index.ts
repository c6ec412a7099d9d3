export { PortAllocator } from './port-allocator.ts';
export { portMap, type PortProtocol, type PublishedPort, type PublishRequest } from './published-port.ts';
export { PublishedPorts, type PortTarget, type PublishedRecord } from './published-ports.ts';
