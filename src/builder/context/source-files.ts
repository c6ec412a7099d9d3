/** What is known of the files that a build reads. Nobody writes to them as long as the build runs. */
export class SourceFiles {
  /** sha256 of contents, as far as they are known, in hex, by absolute path. */
  readonly digests = new Map<string, string>();
  /** Some are two names of one file in what was received, and must stay so. */
  hasHardLinks = false;
  /**
   * Where files of contexts are in images, by inode: layers may have the same file under one name alone, or an image of both
   * would have two names of one file where there were two files.
   */
  readonly places: Map<number, string>;
  /** Files of contexts that layers have too, by absolute path. */
  readonly linked = new Set<string>();
  /** The context came as an archive, and the digests of all regular files in it are known. */
  isWhole = false;

  constructor(places: Map<number, string>) {
    this.places = places;
  }
}
