import type { EndpointSettings, NetworkResource, PortBinding } from '../spec/index.ts';
import type { NameOptions } from './dns/index.ts';
import type { PublishRequest } from './ports/index.ts';
import type { NetworkCreate } from './user-network.ts';

export interface AttachRequest {
  containerId: string;
  containerName: string;
  /** The name it gives itself, which networks of the user's answer to as well. */
  hostname?: string;
  /** Network name or id. */
  network: string;
  /** What the user asked of this endpoint. */
  settings: Partial<EndpointSettings>;
  /** False: the container is to have no IPv6, be it that the network has. */
  ipv6?: boolean;
  /** Where neighbours are kept apart: containers of this network that are reached all the same, at these ports. */
  links?: readonly ContainerLinkPorts[];
}

export interface ContainerLinkPorts {
  /** Id of a container, which may have no endpoint yet or no more. */
  containerId: string;
  ports: readonly { protocol: 'tcp' | 'udp' | 'sctp'; port: number }[];
}

export interface Sandbox {
  /** Docker's SandboxID, 64 hex. */
  id: string;
  /** Path of the bound namespace, Docker's SandboxKey. */
  path: string;
}

/**
 * Container networking. A *sandbox* is a container's network namespace, owned by the engine (it outlives the container's
 * processes and the engine); an *endpoint* is its place in one network.
 */
export interface Networks {
  /** What was changed on this machine, or stands in the way on it, for `info` and the log. */
  readonly notes: readonly string[];
  /** Bridge, NAT and firewall table as declared; adopts what is there, repairs what drifted. Idempotent. */
  open(): Promise<void>;
  /** Removes bridges and tables that nothing uses. */
  close(): Promise<void>;
  list(): NetworkResource[];
  /** By name, id or unique id prefix. @throws {EngineError} `not-found` "network x not found" */
  inspect(nameOrId: string): NetworkResource;
  /** The whole name of a network. @throws {EngineError} as inspect() */
  nameOf(nameOrId: string): string;
  /** `bridge` for one that is gone. */
  driverOf(networkId: string): string;
  /** @throws {EngineError} with dockerd's texts: `forbidden`, `conflict`, `invalid-parameter`, `not-found` */
  create(request: NetworkCreate): Promise<{ id: string }>;
  /** @throws {EngineError} `forbidden` for a predefined network and one with containers; `not-found` */
  remove(nameOrId: string): Promise<void>;
  /** Removes those that are chosen and that can be removed. @returns their names */
  prune(isChosen: (network: NetworkResource) => boolean): Promise<string[]>;

  /**
   * A namespace for the container, `lo` up, no endpoints.
   * @param options.network what will be attached first: for the default bridge a link made ahead is used.
   */
  createSandbox(containerId: string, options?: { network?: string }): Sandbox;
  sandbox(containerId: string): Sandbox | undefined;
  /** Releases its endpoints, addresses and ports, removes the namespace; no error when gone. */
  removeSandbox(containerId: string): void;
  /**
   * Reserves an address and plumbs the endpoint into the sandbox; undone on error. Returns the settings as given. Also
   * for `none` and `host`, which only take note of the container; `host` needs no sandbox. The default route of each family
   * goes to the network with the highest GwPriority, of equal ones the first by name; never to an internal one.
   * @throws {EngineError} `not-found` for the network or the sandbox; `conflict` when attached already.
   */
  attach(request: AttachRequest): EndpointSettings;
  /**
   * What attach() would refuse for itself. Says nothing of a network that is not there.
   * @throws {EngineError} `invalid-parameter` "invalid endpoint settings: …"
   */
  checkEndpoint(network: string, settings: Partial<EndpointSettings>): void;
  detach(containerId: string, network: string): Promise<void>;
  /** The links of an endpoint are these from now on. No error when there is no such endpoint. */
  changeLinks(containerId: string, network: string, links: readonly ContainerLinkPorts[]): void;
  /**
   * Publishes ports of the container on the host, into the network of its default route; they are withdrawn with the
   * sandbox, and move when the route does.
   * @returns every port with its bindings as given
   * @throws {EngineError} with dockerd's texts when a port is taken; none is published then.
   */
  publish(containerId: string, request: PublishRequest): Record<string, PortBinding[]>;
  /**
   * Descriptors of sockets bound to the ports just published, which keep programs of the host from them: to be inherited by
   * a process that lives as long as the container does.
   */
  portSockets(containerId: string): readonly number[];
  /** That process has them. No error when there are none. */
  closePortSockets(containerId: string): void;
  /**
   * From here on names are answered in the sandbox, if it is in a network of the user's: to be called before the
   * container's first instruction.
   */
  answerNames(containerId: string, options: NameOptions): void;
  /** The container has another name: networks answer to it. */
  rename(containerId: string, name: string): void;
  /**
   * Sandboxes not in `keep` are removed, addresses of the others are reserved again; called at start.
   * @param monitorOf the process that a container's port sockets were given to
   */
  sweep(keep: ReadonlySet<string>, monitorOf?: (containerId: string) => number | undefined): void;
  /** The host's addresses on the default bridge, IPv4 first, for `host-gateway`. */
  hostGateway(): string[];
}
