export { closeApiServer, createApiServer, type ApiLog, type ApiServerOptions } from './server.ts';
export { apiRoutes, type ApiOptions } from './routes.ts';
export {
  formatApiVersion,
  maximumApiVersion,
  minimumApiVersion,
  parseMinimumVersion,
  type ApiVersion,
} from './api-version.ts';
export { cacheFilters } from './routes/build-cache.ts';
export type { Coverage, Method, Route } from './route.ts';
