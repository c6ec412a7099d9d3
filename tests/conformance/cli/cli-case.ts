/**
 * Command lines of the stock docker client whose output and exit code must be the same on every engine. Each is a shell
 * script; `$P` is a prefix of its own for names, `$IMG` the test's base image. What dockerd answers is in expected.json,
 * recorded by record.ts from a running dockerd.
 */
export interface CliCase {
  title: string;
  script: string;
  /** Why the outcome is not compared with an engine older than this, e.g. a text that changed. */
  sinceApi?: string;
}

/** A case in one line. */
export const c = (title: string, script: string): CliCase => ({ title, script });
