/**
 * Builds beside dockerd's classic builder, its BuildKit, and podman, in one run on one machine:
 * `node bench/builds.ts [row …]`, rows by their first word. In brackets the processor time that client and engine took.
 * Ratios below 1 mean that we are faster. BuildKit is driven by a docker client that has it built in (before version 23),
 * as Debian's docker.io brings one; without it the column is left out.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { image, startEngines, type BenchEngine } from './engines.ts';
import { compare, measureRows, timeCommand, type Row } from './measure.ts';

const oldClient = '/usr/bin/docker';
// When a row and the clean-up both fail, both are told.
await using cleanUp = new AsyncDisposableStack();
const directory = mkdtempSync(join(tmpdir(), 'bench-builds-'));
cleanUp.defer(() => rmSync(directory, { recursive: true, force: true }));
const engines = withBuildKit(await startEngines());
for (const engine of engines) cleanUp.defer(() => engine.dispose());
let changes = 0;

const steps = Array.from({ length: 12 }, (_, index) => `RUN echo ${index} > /f${index}\n`).join('');
const compile = 'head -c 60000000 /dev/zero | sha256sum';

const benches: Record<string, () => Promise<Row>> = {
  uncached: () => {
    const context = newContext('uncached', steps);
    return compare('uncached: 12 small RUN steps', engines, 3, {
      body: (engine) => build(engine, context, ['--no-cache']),
    });
  },
  cached: () => {
    const context = newContext('cached', steps);
    return compare('cached: the same 12 steps again', engines, 5, {
      body: (engine) => build(engine, context),
    });
  },
  context: () => {
    const context = newContext('context', 'COPY . /app\n');
    const files = fill(context, 2000, 50_000);
    return compare('context: 100 MB in 2,000 files, all new', engines, 3, {
      before: () => change(files),
      body: (engine) => build(engine, context),
    });
  },
  stages: () => {
    const stage = (name: string): string =>
      `FROM ${image} AS ${name}\nRUN ${compile} > /${name}\nRUN ${compile} >> /${name}\n`;
    const names = ['a', 'b', 'c', 'd'];
    const last = names.map((name) => `COPY --from=${name} /${name} /${name}\n`).join('');
    const context = newContext('stages', '');
    writeFileSync(join(context, 'Dockerfile'), `${names.map(stage).join('')}FROM ${image}\n${last}`);
    return compare('stages: four of two steps that compute', engines, 3, {
      body: (engine) => build(engine, context, ['--no-cache']),
    });
  },
  line: () => {
    const context = newContext('line', 'COPY . /app\nRUN echo built > /built\n');
    const files = fill(context, 10_000, 1000);
    return compare('line: one changed in a context of 10,000 files', engines, 3, {
      before: () => change(files.slice(5000, 5001)),
      body: (engine) => build(engine, context),
    });
  },
};

/** BuildKit of the same dockerd as one engine more. */
function withBuildKit(found: readonly BenchEngine[]): BenchEngine[] {
  const version = existsSync(oldClient)
    ? spawnSync(oldClient, ['version', '--format', '{{.Client.Version}}'], { encoding: 'utf8' }).stdout
    : '';
  return found.flatMap((engine) => {
    if (engine.name !== 'dockerd') {
      return [{ ...engine, env: { ...engine.env, DOCKER_BUILDKIT: '0' } }];
    }
    const classic = { ...engine, name: 'dockerd classic', env: { ...engine.env, DOCKER_BUILDKIT: '0' } };
    const major = Number.parseInt(version);
    if (!(major < 23)) return [classic];
    const env = { ...engine.env, DOCKER_BUILDKIT: '1' };
    const kit = { ...engine, name: 'dockerd BuildKit', command: [oldClient], env };
    return [classic, { ...kit, dispose: async () => {} }];
  });
}

function newContext(name: string, dockerfile: string): string {
  const context = join(directory, name);
  mkdirSync(context);
  writeFileSync(join(context, 'Dockerfile'), `FROM ${image}\n${dockerfile}`);
  return context;
}

function fill(context: string, count: number, sizeBytes: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const parent = join(context, `d${index % 100}`);
    mkdirSync(parent, { recursive: true });
    const path = join(parent, `f${index}`);
    writeFileSync(path, `${index} `.repeat(sizeBytes).slice(0, sizeBytes));
    return path;
  });
}

/** Gives files another beginning. */
function change(files: readonly string[]): void {
  changes += 1;
  for (const path of files) {
    const fd = openSync(path, 'r+');
    writeSync(fd, `change ${changes}\n`, 0);
    closeSync(fd);
  }
}

function build(engine: BenchEngine, context: string, flags: readonly string[] = []): Promise<number> {
  return timeCommand(engine, ['build', '-q', '-t', 'bench:built', ...flags, context]);
}

await measureRows(benches, engines);
