import type { NetworkCase } from './case.ts';
import { firewallCases } from './firewall-cases.ts';
import { gatewayCases } from './gateway-cases.ts';
import { ipv6Cases } from './ipv6-cases.ts';
import { isolationCases } from './isolation-cases.ts';
import { lifeCases } from './life-cases.ts';
import { linkCases } from './link-cases.ts';
import { managementCases } from './management-cases.ts';
import { membershipCases } from './membership-cases.ts';
import { nameCases } from './name-cases.ts';
import { userNetworkCases } from './network-cases.ts';
import { optionCases } from './option-cases.ts';
import { parentCases } from './parent-cases.ts';
import { portCases } from './port-cases.ts';
import { proxyCases } from './proxy-cases.ts';
import { publishedCases } from './published-cases.ts';

export const networkCases: readonly NetworkCase[] = [
  ...publishedCases,
  ...portCases,
  ...proxyCases,
  ...isolationCases,
  ...firewallCases,
  ...userNetworkCases,
  ...ipv6Cases,
  ...optionCases,
  ...gatewayCases,
  ...managementCases,
  ...parentCases,
  ...nameCases,
  ...linkCases,
  ...membershipCases,
  ...lifeCases,
];
