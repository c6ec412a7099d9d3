/**
 * Records what the engine at CONFORMANCE_HOST (a dockerd) answers to every case, into expected.json:
 * `CONFORMANCE_HOST=unix:///run/docker.sock node tests/conformance/cli/record.ts [title …]`
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cliCases } from './cases.ts';
import { importBaseImage, removeBaseImage, runCase, type CaseOutcome } from './run-case.ts';

const host = process.env['CONFORMANCE_HOST'];
if (host === undefined) throw new Error('Set CONFORMANCE_HOST to the socket of a dockerd');
const path = new URL('expected.json', import.meta.url);
const only = process.argv.slice(2);
const expected: Record<string, CaseOutcome> = existsSync(path)
  ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, CaseOutcome>)
  : {};
const titles = new Set(cliCases.map((testCase) => testCase.title));
for (const title of Object.keys(expected)) if (!titles.has(title)) delete expected[title];
importBaseImage(host);
for (const testCase of cliCases) {
  if (only.length > 0 && !only.includes(testCase.title)) continue;
  expected[testCase.title] = runCase(testCase, host);
  console.log(testCase.title);
}
removeBaseImage(host);
writeFileSync(path, `${JSON.stringify(expected, null, 2)}\n`);
