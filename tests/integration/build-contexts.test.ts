/** Where builds get their files from: git, http, compressed archives, named contexts, agents and secrets of the client. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { baseImage, importBaseImage } from '../conformance/cli/run-case.ts';
import { runCli, type CliOutcome } from '../fixtures/build-cli.ts';
import { buildThrough, imageTree, type SeenEntry } from '../fixtures/build-case.ts';
import { TestDaemon } from '../fixtures/daemon.ts';
import { FileServer } from '../fixtures/file-server.ts';

let daemon: TestDaemon;
let server: FileServer;
let work = '';
let commits: string[] = [];
const nothing = Buffer.alloc(0);

before(async () => {
  daemon = await TestDaemon.start();
  importBaseImage(daemon.host);
  work = join(daemon.directory, 'work');
  mkdirSync(work);
  commits = makeRepository();
  server = await FileServer.start(work);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await daemon.dispose();
});

function git(directory: string, ...words: string[]): string {
  const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'init.defaultBranch=main'];
  return execFileSync('git', [...identity, ...words], { cwd: directory, encoding: 'utf8' }).trim();
}

/** `repo.git` with two commits on main, a branch, a tag and a subdirectory. @returns the commits of main */
function makeRepository(): string[] {
  const tree = join(work, 'tree');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  git(tree, 'init', '--quiet');
  writeFileSync(join(tree, 'Dockerfile'), `FROM ${baseImage}\nCOPY . /ctx/\n`);
  writeFileSync(join(tree, 'file'), 'one\n');
  writeFileSync(join(tree, 'sub/Dockerfile'), `FROM ${baseImage}\nCOPY deep /deep\n`);
  writeFileSync(join(tree, 'sub/deep'), 'deep\n');
  git(tree, 'add', '.');
  git(tree, 'commit', '--quiet', '-m', 'one');
  git(tree, 'tag', 'v1');
  git(tree, 'branch', 'other');
  writeFileSync(join(tree, 'file'), 'two\n');
  git(tree, 'commit', '--quiet', '-am', 'two');
  git(work, 'clone', '--quiet', '--bare', 'tree', 'repo.git');
  git(join(work, 'repo.git'), 'update-server-info');
  return ['v1', 'main'].map((name) => git(tree, 'rev-parse', name));
}

/** Builds and gives the files. */
async function tree(body: Buffer, parameters: Record<string, unknown>): Promise<Map<string, SeenEntry>> {
  const { error, imageId, output } = await buildThrough(daemon.socket, body, parameters);
  assert.equal(error, undefined, output);
  return await imageTree(daemon.socket, imageId);
}

function tarOf(files: Record<string, string>): Buffer {
  const directory = join(work, `tar-${Math.random().toString(36).slice(2)}`);
  mkdirSync(directory);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return execFileSync('tar', ['-C', directory, '-cf', '-', '.']);
}

async function cli(words: readonly string[], options?: Parameters<typeof runCli>[2]): Promise<CliOutcome> {
  return await runCli(daemon.host, words, options);
}

describe('contexts', () => {
  test('a git repository, by reference and subdirectory', async () => {
    const url = `${server.url}/repo.git`;
    assert.equal((await tree(nothing, { remote: url })).get('/ctx/file')?.text, 'two\n');
    const tagged = await tree(nothing, { remote: `${url}#v1` });
    assert.equal(tagged.get('/ctx/file')?.text, 'one\n');
    assert.equal(tagged.get('/ctx/.git'), undefined);
    assert.equal((await tree(nothing, { remote: `${url}#other` })).get('/ctx/file')?.text, 'one\n');
    assert.equal((await tree(nothing, { remote: `${url}#${commits[0]}` })).get('/ctx/file')?.text, 'one\n');
    assert.equal((await tree(nothing, { remote: `${url}#main:sub` })).get('/deep')?.text, 'deep\n');
    assert.equal((await tree(nothing, { remote: `${url}?tag=v1` })).get('/ctx/file')?.text, 'one\n');
    const kept = await tree(nothing, { remote: url, buildargs: { BUILDKIT_CONTEXT_KEEP_GIT_DIR: '1' } });
    assert.equal(kept.get('/ctx/.git')?.type, 'directory');
  });

  test('a git repository that is not there, or does not have what is asked for', async () => {
    const missing = await buildThrough(daemon.socket, nothing, { remote: `${server.url}/none.git` });
    assert.equal(missing.status, 400);
    assert.match(missing.error ?? '', /^failed to fetch remote http:\/\/127\.0\.0\.1:\d+\/none\.git: /);
    const branch = await buildThrough(daemon.socket, nothing, { remote: `${server.url}/repo.git#nope` });
    assert.match(branch.error ?? '', /repository does not contain ref nope/);
    const sub = await buildThrough(daemon.socket, nothing, { remote: `${server.url}/repo.git#main:nope` });
    assert.match(sub.error ?? '', /subdir not found: nope/);
    const secret = `${server.url.replace('//', '//user:hunter2@')}/none.git`;
    const hidden = await buildThrough(daemon.socket, nothing, { remote: secret });
    assert.doesNotMatch(hidden.error ?? 'hunter2', /hunter2/);
  });

  test('a tar or a Dockerfile by http', async () => {
    server.files.set(
      '/ctx.tar.gz',
      gzipSync(tarOf({ Dockerfile: `FROM ${baseImage}\nCOPY a /a\n`, a: 'remote\n' })),
    );
    server.files.set('/only', Buffer.from(`FROM ${baseImage}\nRUN echo only > /only\n`));
    assert.equal((await tree(nothing, { remote: `${server.url}/ctx.tar.gz` })).get('/a')?.text, 'remote\n');
    assert.equal((await tree(nothing, { remote: `${server.url}/only` })).get('/only')?.text, 'only\n');
    const { error } = await buildThrough(daemon.socket, nothing, { remote: `${server.url}/none` });
    assert.equal(
      error,
      `error downloading remote context ${server.url}/none: failed to GET ${server.url}/none with status 404 Not Found`,
    );
    const strange = await buildThrough(daemon.socket, nothing, { remote: 'ftp://x/y' });
    assert.equal(strange.error, 'remoteURL (ftp://x/y) could not be recognized as URL');
  });

  test('archives of every compression', async () => {
    const tar = tarOf({ Dockerfile: `FROM ${baseImage}\nCOPY a /a\n`, a: 'packed\n' });
    const bodies = [gzipSync(tar), zstdCompressSync(tar)];
    for (const name of ['bzip2', 'xz']) {
      const packed = spawnSync(name, ['-c'], { input: tar });
      if (packed.status === 0) bodies.push(packed.stdout);
    }
    for (const body of bodies) assert.equal((await tree(body, {})).get('/a')?.text, 'packed\n');
  });

  test('ADD of a git repository', async () => {
    const url = `${server.url}/repo.git`;
    const dockerfile = (flags: string, source: string): Buffer =>
      Buffer.from(`FROM ${baseImage}\nADD ${flags} ${source} /src/\n`);
    const plain = await tree(dockerfile('', url), {});
    assert.equal(plain.get('/src/file')?.text, 'two\n');
    assert.equal(plain.get('/src/.git'), undefined);
    const kept = await tree(dockerfile('--keep-git-dir=true', `${url}#v1`), {});
    assert.equal(kept.get('/src/file')?.text, 'one\n');
    assert.equal(kept.get('/src/.git')?.type, 'directory');
    assert.equal((await tree(dockerfile('', `${url}#main:sub`), {})).get('/src/deep')?.text, 'deep\n');
    const again = await buildThrough(daemon.socket, dockerfile('--keep-git-dir=true', `${url}#v1`), {});
    assert.match(again.output, /Using cache/);
    await tree(dockerfile(`--checksum=${commits[1]}`, url), {});
    const wrong = await buildThrough(
      daemon.socket,
      dockerfile(`--checksum=${commits[0]}`, `${url}#main`),
      {},
    );
    assert.match(
      wrong.error ?? '',
      new RegExp(`expected checksum to match ${commits[0]}, got ${commits[1]}`),
    );
  });

  test('named contexts in FROM, COPY and mounts', async () => {
    const directory = join(work, 'named');
    mkdirSync(join(directory, 'empty'), { recursive: true });
    writeFileSync(join(directory, 'a'), 'from a directory\n');
    writeFileSync(join(directory, 'b'), 'ignored\n');
    writeFileSync(join(directory, '.dockerignore'), 'b\n');
    const dockerfile = `FROM alias AS first
RUN --mount=from=dir,target=/m cat /m/a > /seen
FROM dir AS files
FROM replaced
COPY --from=first /seen /seen
COPY --from=dir . /dir/
COPY --from=files a /files
COPY --from=repo file /repo
COPY --from=tar a /tar
`;
    server.files.set('/named.tar', tarOf({ a: 'from a tar\n' }));
    const contexts = {
      dir: directory,
      repo: `${server.url}/repo.git#v1`,
      tar: `${server.url}/named.tar`,
      alias: `docker-image://${baseImage}`,
      'replaced:latest': `docker-image://${baseImage}`,
    };
    const { exitCode, stdout, stderr } = await cli(
      [
        'build',
        '-q',
        '-f',
        '-',
        ...Object.entries(contexts).flatMap(([name, value]) => ['--build-context', `${name}=${value}`]),
        work,
      ],
      { input: dockerfile },
    );
    assert.equal(exitCode, 0, stderr);
    const files = await imageTree(daemon.socket, stdout.toString('utf8').trim());
    assert.equal(files.get('/seen')?.text, 'from a directory\n');
    assert.equal(files.get('/dir/a')?.text, 'from a directory\n');
    assert.equal(files.get('/dir/empty')?.type, 'directory');
    assert.equal(files.get('/dir/b'), undefined);
    assert.equal(files.get('/files')?.text, 'from a directory\n');
    assert.equal(files.get('/repo')?.text, 'one\n');
    assert.equal(files.get('/tar')?.text, 'from a tar\n');
  });

  test('an OCI layout as a named context', async () => {
    const layout = join(work, 'layout');
    const made = await cli(
      ['build', '-q', '-o', `type=oci,tar=false,dest=${layout}`, '-t', 'x:inner', '-f', '-', work],
      {
        input: `FROM ${baseImage}\nRUN echo inner > /inner\n`,
      },
    );
    assert.equal(made.exitCode, 0, made.stderr);
    const words = ['build', '-q', '-f', '-', '--build-context', `base=oci-layout://${layout}:inner`, work];
    const { exitCode, stdout, stderr } = await cli(words, { input: 'FROM base\nRUN cat /inner > /outer\n' });
    assert.equal(exitCode, 0, stderr);
    const files = await imageTree(daemon.socket, stdout.toString('utf8').trim());
    assert.equal(files.get('/outer')?.text, 'inner\n');
  });

  test('a Dockerfile from standard input with a remote context, and one from outside of the context', async () => {
    const remote = await cli(['build', '-q', '-f', '-', `${server.url}/repo.git#v1`], {
      input: `FROM ${baseImage}\nCOPY file /got\n`,
    });
    assert.equal(remote.exitCode, 0, remote.stderr);
    assert.equal(
      (await imageTree(daemon.socket, remote.stdout.toString().trim())).get('/got')?.text,
      'one\n',
    );
    const outside = join(work, 'outside.Dockerfile');
    writeFileSync(outside, `FROM ${baseImage}\nCOPY . /all/\n`);
    writeFileSync(`${outside}.dockerignore`, 'sub\n');
    const local = await cli(['build', '-q', '-f', outside, join(work, 'tree')]);
    assert.equal(local.exitCode, 0, local.stderr);
    const files = await imageTree(daemon.socket, local.stdout.toString().trim());
    assert.equal(files.get('/all/file')?.text, 'two\n');
    assert.equal(files.get('/all/sub'), undefined);
    assert.equal(files.get('/all/outside.Dockerfile.dockerignore'), undefined);
  });
});

describe('what a client lends', () => {
  const tools = ['ssh-agent', 'ssh-add', 'ssh-keygen'].every((name) => existsSync(`/usr/bin/${name}`));

  test(
    'an SSH agent is spoken to, and nothing of it stays',
    { skip: tools ? false : 'no OpenSSH' },
    async () => {
      const socket = join(work, 'agent');
      const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
      try {
        while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
        const key = join(work, 'key');
        execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'lent-key', '-f', key]);
        execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
        const host = join(work, 'host');
        copyWithLibraries('/usr/bin/ssh-add', host);
        const dockerfile = `FROM ${baseImage}
RUN mkdir -p /lib64 && touch /lib64/none
RUN --mount=type=ssh --mount=from=host,source=lib,target=/lib --mount=from=host,source=lib64,target=/lib64 \\
    --mount=from=host,source=usr/bin,target=/tools test "$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0 && \\
    /tools/ssh-add -l && /tools/ssh-add -l | wc -l
RUN --mount=type=ssh,id=other test "$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0 && ! test -e "$SSH_AUTH_SOCK"
`;
        const words = [
          'build',
          '--ssh',
          `default=${socket}`,
          '--build-context',
          `host=${host}`,
          '-f',
          '-',
          work,
        ];
        const { exitCode, stderr } = await cli(words, { input: dockerfile });
        assert.equal(exitCode, 0, stderr);
        assert.match(stderr, /lent-key \(ED25519\)/);
        // The key itself, without an agent: one of ours serves it.
        const byKey = words.map((word) => (word === `default=${socket}` ? `default=${key}` : word));
        const served = await cli([...byKey, '--no-cache', '-t', 'by-key'], { input: dockerfile });
        assert.equal(served.exitCode, 0, served.stderr);
        assert.match(served.stderr, /SHA256:\S+ \S+\/key \(ED25519\)/);
        const [, secret = ''] = readFileSync(key, 'utf8').split('\n');
        const kept = spawnSync('grep', ['-rlaF', '--exclude-dir=work', '--', secret, daemon.directory]);
        assert.equal(kept.stdout.toString(), '');
        const required = await cli(['build', '-f', '-', work], {
          input: `FROM ${baseImage}\nRUN --mount=type=ssh,required=true true\n`,
        });
        assert.equal(required.exitCode, 1);
        assert.match(required.stderr, /unset ssh forward key default/);
      } finally {
        agent.kill();
        await new Promise((resolve) => agent.once('exit', resolve));
      }
    },
  );

  test('secrets by file and by variable', async () => {
    const file = join(work, 'secret');
    writeFileSync(file, 'from-file');
    const { exitCode, stderr } = await cli(
      [
        'build',
        '--secret',
        `id=a,src=${file}`,
        '--secret',
        'id=b,env=NAMED',
        '--secret',
        'id=SAME',
        '-f',
        '-',
        work,
      ],
      {
        input: `FROM ${baseImage}
RUN --mount=type=secret,id=a test "$(cat /run/secrets/a)" = from-file
RUN --mount=type=secret,id=b,env=B --mount=type=secret,id=SAME test "$B$(cat /run/secrets/SAME)" = from-variablesame
`,
        env: { NAMED: 'from-variable', SAME: 'same' },
      },
    );
    assert.equal(exitCode, 0, stderr);
    const { stderr: problem } = await cli(['build', '--secret', `id=a,src=${work}/none`, join(work, 'tree')]);
    assert.match(problem, /failed to stat .*none: no such file or directory/);
  });
});

/** A program and what it is linked with, as `usr/bin`, `lib` and `lib64` of a directory. */
function copyWithLibraries(program: string, directory: string): void {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  const libraries = [...listed.matchAll(/(\/lib\S+)/g)].map(([path]) => path);
  for (const path of [program, ...libraries]) {
    const target = join(directory, path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
  }
  mkdirSync(join(directory, 'lib64'), { recursive: true });
  assert.ok(readFileSync(join(directory, program)).length > 0);
}
