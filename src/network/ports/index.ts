export { PortAllocator } from './port-allocator.ts';
export { descriptorsOf, PortProxies } from './port-proxies.ts';
export { portMap, type PortProtocol, type PublishedPort, type PublishRequest } from './published-port.ts';
export { proxyTarget, PublishedPorts, type PortTarget, type PublishedRecord } from './published-ports.ts';
