import type { NetworkCase } from './case.ts';
import { ipv6Cases } from './ipv6-cases.ts';
import { lifeCases } from './life-cases.ts';
import { linkCases } from './link-cases.ts';
import { nameCases } from './name-cases.ts';
import { userNetworkCases } from './network-cases.ts';
import { publishedCases } from './published-cases.ts';

export const networkCases: readonly NetworkCase[] = [
  ...publishedCases,
  ...userNetworkCases,
  ...ipv6Cases,
  ...nameCases,
  ...linkCases,
  ...lifeCases,
];
