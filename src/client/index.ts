export {
  ApiClient,
  ApiResponse,
  newestApiVersion,
  type ApiClientOptions,
  type ApiRequest,
  type Hijacked,
  type QueryValue,
} from './client.ts';
export {
  defaultHost,
  dockerConfigDir,
  parseAddress,
  resolveEndpoint,
  type Address,
  type Endpoint,
  type EndpointRequest,
  type TlsMaterial,
} from './endpoint.ts';
export { ApiError, ConnectionError, isNotFound } from './errors.ts';
export { drained } from './http.ts';
export { jsonValues } from './json-lines.ts';
export { StreamDemuxer, type StreamKind } from './stdcopy.ts';
