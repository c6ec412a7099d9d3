export { Registries, type RegistriesOptions, type RegistryAccess } from './registries.ts';
export { Repository, isSchema1, type BlobStream, type FetchedManifest } from './repository.ts';
export { downloadBlob, type DownloadOptions } from './download.ts';
export { RegistryError, diagnosticText, type Diagnostic } from './registry-error.ts';
export { ConnectionError } from './transport.ts';
export { connectionText } from './connection-text.ts';
export { Backoff, type RetryOptions } from './retry.ts';
export { decodeCredentials, parseCredentials, type RegistryCredentials } from './credentials.ts';
export type { SearchResult } from './search.ts';
