/**
 * Records what each client prints with the engine at CONFORMANCE_HOST (a dockerd), into expected.json:
 * `CONFORMANCE_HOST=unix:///run/docker.sock node tests/conformance/clients/record.ts [title …]`
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { importBaseImage, removeBaseImage } from '../cli/run-case.ts';
import { clients, isInstalled, transcript } from './clients.ts';

const host = process.env['CONFORMANCE_HOST'];
if (host === undefined) throw new Error('Set CONFORMANCE_HOST to the socket of a dockerd');
const path = new URL('expected.json', import.meta.url);
const only = process.argv.slice(2);
const expected: Record<string, string[]> = existsSync(path)
  ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, string[]>)
  : {};
importBaseImage(host);
for (const client of clients) {
  if (only.length > 0 && !only.includes(client.title)) continue;
  if (!isInstalled(client)) throw new Error(`Cannot record ${client.title}: it is not installed`);
  expected[client.title] = transcript(client, host);
  console.log(client.title, expected[client.title]?.slice(-1));
}
removeBaseImage(host);
writeFileSync(path, `${JSON.stringify(expected, null, 2)}\n`);
