/**
 * The projects of examples/ built as their Dockerfiles say, on a Debian base made on this machine. Packages come from the
 * machine's mirrors, so this runs when it is asked for: CORACLE_TEST_NETWORK=1. With CORACLE_TEST_DEBIAN (the path of an archive
 * of debian:bookworm) the base is not made anew.
 */
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCli, type CliOutcome } from '../fixtures/build-cli.ts';
import { TestDaemon } from '../fixtures/daemon.ts';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const isAsked = process.env['CORACLE_TEST_NETWORK'] === '1';
const reason = isAsked ? '' : ' (not asked for by CORACLE_TEST_NETWORK=1: it takes minutes and a mirror)';

describe(`projects${reason}`, { skip: !isAsked }, () => {
  let daemon: TestDaemon;
  let directory: string;

  before(async () => {
    daemon = await TestDaemon.start();
    directory = mkdtempSync(join(daemon.directory, 'projects-'));
    const archive = process.env['CORACLE_TEST_DEBIAN'];
    if (archive === undefined) await coracle('image', 'bootstrap', 'debian:bookworm');
    else await coracle('load', '-q', '-i', archive);
  });
  after(() => daemon.dispose());

  async function coracle(...words: string[]): Promise<CliOutcome> {
    const outcome = await runCli(daemon.host, words);
    assert.equal(outcome.exitCode, 0, `${words.join(' ')}: ${outcome.stdout.toString()}${outcome.stderr}`);
    return outcome;
  }

  /** Builds a copy of an example, so that it can be changed; gives the steps that were cached and those that there are. */
  async function build(name: string, ...flags: string[]): Promise<{ cached: number; steps: number }> {
    const context = join(directory, name);
    if (!existsSync(context)) cpSync(join(examples, name), context, { recursive: true });
    const words = ['--progress', 'plain', '--network', 'host', '-t', name, ...flags, context];
    const { stderr } = await coracle('build', ...words);
    const steps = new Set(stderr.match(/^#\d+ \[.*\d+\/\d+\]/gm));
    return { cached: stderr.match(/^#\d+ CACHED$/gm)?.length ?? 0, steps: steps.size };
  }

  function edit(path: string, from: string, to: string): void {
    const full = join(directory, path);
    const text = readFileSync(full, 'utf8');
    assert.ok(text.includes(from));
    writeFileSync(full, text.replace(from, to));
  }

  async function output(...words: string[]): Promise<string> {
    return (await coracle('run', '--rm', '--network', 'none', ...words)).stdout.toString();
  }

  test('a C program, from scratch', async () => {
    await build('c-scratch');
    assert.equal(await output('c-scratch', 'C'), 'hello, C\n');
    const again = await build('c-scratch');
    assert.equal(again.cached, again.steps - 1);
  });

  test('a Python service with packages of the distribution', async () => {
    await build('python-service');
    assert.equal(await output('python-service', 'python3', 'app.py', '--check'), '{"hello":"from Python"}\n');
    // What apt fetched is in the cache mount, and nowhere in the image.
    const archives = ['find', '/var/cache/apt/archives', '-name', '*.deb'];
    assert.equal(await output('--user', 'root', 'python-service', ...archives), '');
    edit('python-service/app.py', 'from Python', 'from snakes');
    await build('python-service');
    assert.equal(await output('python-service', 'python3', 'app.py', '--check'), '{"hello":"from snakes"}\n');
  });

  test('a Node.js service with npm ci and a cache', async () => {
    await nodeImage();
    const flags = ['--build-arg', 'NODE_IMAGE=local/node'];
    await build('node-service', ...flags);
    assert.equal(await output('node-service', 'node', 'server.js', '--check'), '{"hello":"from Node.js"}\n');
    // Another version of the project: npm finds all it needs in its cache.
    edit('node-service/package.json', '"1.0.0"', '"1.0.1"');
    edit('node-service/Dockerfile', 'npm ci', 'npm ci --offline');
    await build('node-service', ...flags);
  });

  test('four programs in stages at the same time', async () => {
    await build('parallel-stages');
    for (const name of ['api', 'worker', 'scheduler', 'tool']) {
      assert.equal(await output('--entrypoint', `/bin/${name}`, 'parallel-stages'), `${name}\n`);
    }
  });

  /** This machine's Node.js and npm on the Debian base, with the authorities that the machine trusts. */
  async function nodeImage(): Promise<void> {
    const context = join(directory, 'node');
    mkdirSync(context);
    cpSync(process.execPath, join(context, 'node'));
    const npm = realpathSync(join('/usr/lib/node_modules', 'npm'));
    cpSync(npm, join(context, 'npm'), { recursive: true, dereference: true });
    const trusted = process.env['NODE_EXTRA_CA_CERTS'];
    if (trusted === undefined) writeFileSync(join(context, 'ca.pem'), '');
    else cpSync(realpathSync(trusted), join(context, 'ca.pem'));
    writeFileSync(
      join(context, 'Dockerfile'),
      `FROM debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1
COPY --chmod=755 node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY ca.pem /etc/ssl/machine.pem
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/machine.pem
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && npm --version
`,
    );
    await coracle('build', '-q', '--network', 'host', '-t', 'local/node', context);
    rmSync(context, { recursive: true });
  }
});
