import type { EndpointSettings, NetworkResource } from '../spec/index.ts';

export interface AttachRequest {
  containerId: string;
  containerName: string;
  /** Network name or id. */
  network: string;
  /** What the user asked of this endpoint. */
  settings: Partial<EndpointSettings>;
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
  /** Removes bridge and tables when nothing uses them. */
  close(): Promise<void>;
  list(): NetworkResource[];
  /** By name, id or unique id prefix. @throws {EngineError} `not-found` "network x not found" */
  inspect(nameOrId: string): NetworkResource;
  /**
   * A namespace for the container, `lo` up, no endpoints.
   * @param options.network what will be attached first: for the default bridge a link made ahead is used.
   */
  createSandbox(containerId: string, options?: { network?: string }): Sandbox;
  sandbox(containerId: string): Sandbox | undefined;
  /** Releases its endpoints and addresses, removes the namespace; no error when gone. */
  removeSandbox(containerId: string): void;
  /**
   * Reserves an address and plumbs the endpoint into the sandbox; undone on error. Returns the settings as given. Also
   * for `none` and `host`, which only take note of the container; `host` needs no sandbox.
   * @throws {EngineError} `not-found` for the network or the sandbox; `conflict` when attached already.
   */
  attach(request: AttachRequest): EndpointSettings;
  detach(containerId: string, network: string): void;
  /** Sandboxes not in `keep` are removed, addresses of the others are reserved again; called at start. */
  sweep(keep: ReadonlySet<string>): void;
  /** The host's address on the network's bridge, for `host-gateway`. */
  hostGateway(): string;
}
