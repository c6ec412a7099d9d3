import type { NetworkCase } from './case.ts';
import { linkCases, nameCases } from './name-cases.ts';
import { userNetworkCases } from './network-cases.ts';
import { publishedCases } from './published-cases.ts';

export const networkCases: readonly NetworkCase[] = [
  ...publishedCases,
  ...userNetworkCases,
  ...nameCases,
  ...linkCases,
];
