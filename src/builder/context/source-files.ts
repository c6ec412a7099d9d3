/** What is known of the files that a build reads. Nobody writes to them as long as the build runs. */
export class SourceFiles {
  /** sha256 of contents, as far as they are known, in hex, by absolute path. */
  readonly digests = new Map<string, string>();
  /** Some are two names of one file in what was received, and must stay so. */
  hasHardLinks = false;
}
