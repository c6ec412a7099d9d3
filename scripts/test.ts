/**
 * Runs the tests: `node scripts/test.ts [checks|unit|integration|conformance|security|FILE …]`; all of them without
 * arguments. Tests that use the machine run one file after another; afterwards the machine must be as it was.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { spec } from 'node:test/reporters';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { leaksSince, machineState } from '../tests/leaks.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const suites: Record<string, { patterns: string[]; concurrency: number }> = {
  unit: { patterns: ['src/**/*.test.ts', 'tests/*.test.ts'], concurrency: 2 },
  integration: { patterns: ['tests/integration/**/*.test.ts'], concurrency: 1 },
  conformance: { patterns: ['tests/conformance/**/*.test.ts'], concurrency: 1 },
  security: { patterns: ['tests/security/**/*.test.ts'], concurrency: 1 },
};
const totals = { passed: 0, failed: 0, skipped: 0 };
const wanted = process.argv.slice(2);
const named = wanted.filter((word) => word in suites || word === 'checks');
const files = wanted.filter((word) => !named.includes(word));
const all = wanted.length === 0;

if (all || named.includes('checks')) checks();
for (const [name, suite] of Object.entries(suites)) {
  if (all || named.includes(name)) await runFiles(name, globSync(suite.patterns).sort(), suite.concurrency);
}
if (files.length > 0) await runFiles('files', files, 1);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed === 0 && totals.passed > 0 ? 0 : 1);

function checks(): void {
  const bin = `${root}node_modules/.bin/`;
  const programs: [name: string, ...argv: string[]][] = [
    [
      'format',
      process.execPath,
      'node_modules/prettier/bin/prettier.cjs',
      '--check',
      '--log-level',
      'warn',
      '.',
    ],
    ['lint', process.execPath, 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'],
    ['types', process.execPath, 'node_modules/typescript/bin/tsc', '--noEmit'],
  ];
  for (const [name, command, ...argv] of programs) {
    const result = spawnSync(command ?? '', argv, {
      stdio: 'inherit',
      env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
    });
    if (result.status === 0) totals.passed++;
    else totals.failed++;
    console.log(`${result.status === 0 ? '✔' : '✖'} ${name}`);
  }
}

async function runFiles(name: string, list: string[], concurrency: number): Promise<void> {
  if (list.length === 0) return;
  console.log(`# ${name}: ${list.length} files`);
  const before = machineState();
  const events = run({ files: list, concurrency, timeout: 300_000 });
  events.on('test:summary', (summary) => {
    if (summary.file !== undefined) return;
    totals.passed += summary.counts.passed;
    totals.failed +=
      summary.counts.tests - summary.counts.passed - summary.counts.skipped - summary.counts.todo;
    totals.skipped += summary.counts.skipped;
  });
  for await (const text of events.compose(new spec())) process.stdout.write(String(text));
  const leaks = await settledLeaks(before);
  if (leaks.length > 0) {
    totals.failed++;
    console.log(`✖ ${name} left on this machine:\n  ${leaks.join('\n  ')}`);
  } else {
    totals.passed++;
    console.log(`✔ ${name} left nothing on this machine`);
  }
}

/** The kernel frees network namespaces and cgroups a moment after their last process. */
async function settledLeaks(before: ReturnType<typeof machineState>): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const leaks = leaksSince(before);
    if (leaks.length === 0 || tries === 20) return leaks;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
