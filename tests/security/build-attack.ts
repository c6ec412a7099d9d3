import { writeTar, type TarSource } from '../../src/archive/index.ts';

/** Members of a hostile context. */
export const file = (path: string, text: string): TarSource => ({
  path,
  type: 'file',
  mode: 0o644,
  sizeBytes: Buffer.byteLength(text),
  body: [Buffer.from(text)],
});
export const link = (path: string, linkPath: string): TarSource => ({
  path,
  type: 'symlink',
  mode: 0o777,
  linkPath,
});
export const hardlink = (path: string, linkPath: string): TarSource => ({
  path,
  type: 'hardlink',
  mode: 0o644,
  linkPath,
});

export async function tar(members: readonly TarSource[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeTar(members)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
