import type { ImageVariant } from '../../images/index.ts';

/** An element of `Manifests`, since API 1.47. */
export function manifestView(
  variant: ImageVariant,
  containersOf: (imageId: string) => string[],
  /** Of the name it is listed under. */
  identity: { Identity?: object },
): Record<string, unknown> {
  const { kind, descriptor, contentBytes, unpackedBytes = 0, platform, id, subject } = variant;
  const users = id === undefined ? [] : containersOf(id);
  return {
    ID: descriptor.digest,
    Descriptor: descriptor,
    Available: variant.isAvailable,
    Size: { Content: contentBytes, Total: contentBytes + unpackedBytes },
    Kind: kind,
    ...(kind === 'image'
      ? {
          ImageData: {
            Platform: platform ?? { architecture: '', os: '' },
            Size: { Unpacked: unpackedBytes },
            Containers: users.length === 0 ? null : users,
            ...(variant.isAvailable ? identity : {}),
          },
        }
      : {}),
    ...(kind === 'attestation' ? { AttestationData: { For: subject } } : {}),
  };
}
