import type { NetworkCase } from './case.ts';
import { lifeCases } from './life-cases.ts';
import { linkCases } from './link-cases.ts';
import { nameCases } from './name-cases.ts';
import { userNetworkCases } from './network-cases.ts';
import { publishedCases } from './published-cases.ts';

export const networkCases: readonly NetworkCase[] = [
  ...publishedCases,
  ...userNetworkCases,
  ...nameCases,
  ...linkCases,
  ...lifeCases,
];
