import type { ContainerCreate } from '../containers/index.ts';
import {
  emptyContainerConfig,
  emptyHostConfig,
  type ContainerConfig,
  type HostConfig,
  type NetworkingConfig,
} from '../spec/index.ts';

/** A container as a program asks for it; everything but the image has a default. */
export interface ContainerRequest {
  /** Reference or id of an image that is here. */
  image: string;
  /** Absent: the image's own. */
  command?: readonly string[];
  name?: string;
  /** `KEY=value` by key. */
  env?: Readonly<Record<string, string>>;
  /** Anything else of Docker's ContainerConfig and HostConfig. */
  config?: Partial<ContainerConfig>;
  hostConfig?: Partial<HostConfig>;
  networkingConfig?: NetworkingConfig;
}

/** What `Containers.create` takes, with Docker's defaults filled in. */
export function containerCreate(request: ContainerRequest): ContainerCreate {
  const env = Object.entries(request.env ?? {}).map(([key, value]) => `${key}=${value}`);
  const config = emptyContainerConfig({
    Env: env.length === 0 ? null : env,
    Cmd: request.command === undefined ? null : [...request.command],
    Image: request.image,
    ...request.config,
  });
  return {
    ...(request.name === undefined ? {} : { name: request.name }),
    config,
    hostConfig: emptyHostConfig(request.hostConfig),
    networkingConfig: request.networkingConfig ?? { EndpointsConfig: {} },
  };
}
