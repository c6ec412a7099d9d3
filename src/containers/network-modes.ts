import { invalid } from './errors.ts';

const sharedNamespace =
  'container sharing network namespace with another container or host cannot be connected to any other network';
const privateMode =
  'container cannot be connected to multiple networks with one of the networks in private (none) mode';
export const hostNetwork = 'container cannot be disconnected from host network or connected to host network';

/**
 * Whether a container of a network mode that is in some networks can be in another, too.
 * @throws {EngineError} `invalid-parameter` @see moby daemon/container_operations.go, updateNetworkSettings
 */
export function checkTogether(mode: string, present: readonly string[], added: string): void {
  if (mode.startsWith('container:')) throw invalid(sharedNamespace);
  if (mode === 'host') throw invalid(added === 'host' ? hostNetwork : sharedNamespace);
  if (added === 'host') throw invalid(hostNetwork);
  if ((added === 'none' && present.length > 0) || present.includes('none')) throw invalid(privateMode);
}
