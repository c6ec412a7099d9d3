import { hash } from 'node:crypto';
import type { TarHeader } from '../tar/header.ts';
import type { TarHandler } from '../tar/parser.ts';
import type { KnownFile } from './content-digest.ts';
import { cleanMemberPath } from './names.ts';
import type { TreeWriter } from './tree-writer.ts';

/** Larger files are not held in memory until it is known whether they are there already. */
const MAX_BYTES = 256 * 1024;

/**
 * Writes members as a TreeWriter does, but small files that are somewhere already get another name there instead of a copy:
 * a new inode costs several times what a name does. Chunks that are pushed to the parser must stay as they are.
 */
export class ReusingWriter implements TarHandler {
  readonly #writer: TreeWriter;
  readonly #find: (path: string, header: TarHeader) => KnownFile | undefined;
  /** Regular files so far. */
  files = 0;
  /** A member was another name for one before it. */
  hasHardLinks = false;
  #held: { header: TarHeader; known: KnownFile; chunks: Buffer[] } | undefined;

  /** @param find a file with the attributes that the header tells, whose content may be the same; `path` is the member's */
  constructor(writer: TreeWriter, find: (path: string, header: TarHeader) => KnownFile | undefined) {
    this.#writer = writer;
    this.#find = find;
  }

  entry(header: TarHeader): void {
    const { type, sizeBytes, sparse, xattrs } = header;
    if (type === 'hardlink') this.hasHardLinks = true;
    if (type === 'file') this.files += 1;
    const isPlain = type === 'file' && sizeBytes <= MAX_BYTES && sparse === null && xattrs === null;
    const known = isPlain ? this.#find(cleanMemberPath(header.path), header) : undefined;
    if (known === undefined) this.#writer.entry(header);
    else this.#held = { header, known, chunks: [] };
  }

  data(chunk: Buffer, position: number): void {
    if (this.#held === undefined) this.#writer.data(chunk, position);
    else this.#held.chunks.push(chunk);
  }

  end(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) {
      const { header, known, chunks } = held;
      const [first = Buffer.alloc(0)] = chunks;
      const content = chunks.length > 1 ? Buffer.concat(chunks) : first;
      if (hash('sha256', content, 'hex') === known.sha256 && this.#writer.reuse(header, known)) return;
      this.#writer.entry(header);
      if (content.length > 0) this.#writer.data(content, 0);
    }
    this.#writer.end();
  }
}
