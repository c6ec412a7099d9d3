import type { ContainerConfig, Healthcheck, ImageRunConfig } from '../spec/index.ts';
import { invalid } from './errors.ts';

/**
 * The user's configuration completed from the image's. Returns a new object.
 * @throws {EngineError} `invalid-parameter` when there is nothing to run
 * @see moby daemon/commit.go, merge
 */
export function mergeConfig(user: ContainerConfig, image: ImageRunConfig | undefined): ContainerConfig {
  const merged: ContainerConfig = { ...user, Labels: { ...user.Labels } };
  if (image !== undefined) mergeImage(merged, image);
  if (merged.Entrypoint?.length === 1 && merged.Entrypoint[0] === '') merged.Entrypoint = null;
  if ((merged.Entrypoint ?? []).length === 0 && (merged.Cmd ?? []).length === 0) {
    throw invalid('No command specified');
  }
  return merged;
}

function mergeImage(config: ContainerConfig, image: ImageRunConfig): void {
  if (config.User === '') config.User = image.User ?? '';
  const ports = mergeKeys(config.ExposedPorts, image.ExposedPorts);
  if (ports === undefined) delete config.ExposedPorts;
  else config.ExposedPorts = ports;
  config.Volumes = mergeKeys(config.Volumes, image.Volumes) ?? null;
  config.Env = mergeEnv(config.Env, image.Env);
  config.Labels = { ...image.Labels, ...config.Labels };
  if ((config.Entrypoint ?? []).length === 0) {
    if ((config.Cmd ?? []).length === 0) config.Cmd = image.Cmd ?? null;
    // An empty list, unlike none at all, is a user who wants no entry point.
    config.Entrypoint ??= image.Entrypoint ?? null;
  }
  if (image.Healthcheck !== undefined && image.Healthcheck !== null)
    config.Healthcheck = mergeHealthcheck(config.Healthcheck, image.Healthcheck);
  if (config.WorkingDir === '') config.WorkingDir = image.WorkingDir ?? '';
  if ((config.StopSignal ?? '') === '' && image.StopSignal !== undefined)
    config.StopSignal = image.StopSignal;
  if ((config.Shell ?? []).length === 0 && image.Shell !== undefined && image.Shell !== null)
    config.Shell = image.Shell;
}

function mergeKeys(
  user: Record<string, object> | null | undefined,
  image: Record<string, object> | null | undefined,
): Record<string, object> | null | undefined {
  if (Object.keys(user ?? {}).length === 0) return image;
  return { ...image, ...user };
}

function mergeEnv(user: string[] | null, image: string[] | null | undefined): string[] | null {
  if (user === null || user.length === 0) return image ?? user;
  const keys = new Set(user.map(envKey));
  return [...user, ...(image ?? []).filter((entry) => !keys.has(envKey(entry)))];
}

function envKey(entry: string): string {
  const equals = entry.indexOf('=');
  return equals < 0 ? entry : entry.slice(0, equals);
}

function mergeHealthcheck(user: Healthcheck | null | undefined, image: Healthcheck): Healthcheck {
  if (user === null || user === undefined) return image;
  const merged: Healthcheck = { ...user };
  if ((merged.Test ?? []).length === 0 && image.Test !== undefined) merged.Test = image.Test;
  for (const key of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval', 'Retries'] as const) {
    const value = image[key];
    if ((merged[key] ?? 0) === 0 && value !== undefined) merged[key] = value;
  }
  return merged;
}
