/**
 * Writes docs/api.md from the router's own table: `node scripts/api-table.ts`; with `--check` it only compares.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { apiRoutes, minimumApiVersion, type Route } from '../src/api/index.ts';
import type { EngineServices } from '../src/engine/index.ts';

const target = fileURLToPath(new URL('../docs/api.md', import.meta.url));

// The table is made without an engine: handlers reach for it only when called.
const engine = {} as EngineServices;
const routes = apiRoutes(engine, {
  serverVersion: '',
  gitCommit: '',
  buildTime: '',
  logDriver: '',
  logOptions: {},
  insecureRegistries: [],
  registryMirrors: [],
  addressPools: [],
  defaultShmSizeBytes: 0,
  minimumVersion: minimumApiVersion,
});

const words = { full: 'yes', partial: 'partly', refused: 'refused' };

function row(route: Route): string {
  const cells = [
    route.method,
    `\`${route.path}\``,
    route.operation,
    route.since === undefined ? '' : `1.${route.since}`,
    words[route.coverage],
    route.note ?? '',
  ];
  return `| ${cells.join(' | ')} |`;
}

const count = (coverage: Route['coverage']): number =>
  routes.filter((route) => route.coverage === coverage).length;
const sorted = routes.toSorted(
  (left, right) => left.path.localeCompare(right.path) || left.method.localeCompare(right.method),
);
const plain = `# Engine API

Versions 1.24 to 1.55, older ones from 1.12 on with \`--min-api-version\` or DOCKER_MIN_API_VERSION (skopeo and podman of Debian 12
ask for 1.22); the version prefix may be left out. ${routes.length} operations: ${count('full')} answered in
full, ${count('partial')} in part, ${count('refused')} refused with an error that says why (Swarm's as Docker answers them
outside a swarm). Names in parentheses are not in Docker's specification but served by it. Made by
\`scripts/api-table.ts\` from the router's table.

| method | path | operation | since | here | what is missing |
| --- | --- | --- | --- | --- | --- |
${sorted.map(row).join('\n')}
`;

const text = await format(plain, { ...(await resolveConfig(target)), filepath: target });

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('docs/api.md is out of date: run node scripts/api-table.ts');
    process.exitCode = 1;
  }
} else writeFileSync(target, text);
