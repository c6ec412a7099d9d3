import { runCases } from './cases/run-cases.ts';
import { lifecycleCases } from './cases/lifecycle-cases.ts';
import { lookingCases } from './cases/looking-cases.ts';
import { isolationCases } from './cases/isolation-cases.ts';
import { imageCases } from './cases/image-cases.ts';
import type { CliCase } from './cli-case.ts';

/** Every command line that is compared. */
export const cliCases: CliCase[] = [
  ...runCases,
  ...lifecycleCases,
  ...lookingCases,
  ...isolationCases,
  ...imageCases,
];
