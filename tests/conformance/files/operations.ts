import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { changeScript } from './image.ts';
import { listTar, type Listing } from './listing.ts';

/** What an operation came to: files, lines, or a document. */
export type Outcome = Listing | readonly string[];

const prefix = 'coracle-files';

/** The stock client against one engine. */
export class Client {
  readonly #host: string;
  readonly #since = Math.floor(Date.now() / 1000) - 5;

  constructor(host: string) {
    this.#host = host;
  }

  /** @returns standard output; the text of an error when `mayFail` */
  run(argv: readonly string[], input: Buffer = Buffer.alloc(0), mayFail = false): Buffer {
    const result = spawnSync('docker', [...argv], {
      input,
      env: { ...process.env, DOCKER_HOST: this.#host, DOCKER_CLI_HINTS: 'false', LC_ALL: 'C' },
      maxBuffer: 2 ** 30,
      timeout: 300_000,
    });
    if (result.status === 0) return result.stdout;
    if (mayFail) return Buffer.concat([result.stdout, result.stderr]);
    throw new Error(`docker ${argv.join(' ')} on ${this.#host}: ${result.stderr.toString()}`);
  }

  text(...argv: string[]): string {
    return this.run(argv).toString('utf8').trim();
  }

  async list(argv: readonly string[]): Promise<Listing> {
    return await listTar(this.run(argv), this.#since);
  }

  async listLayer(archive: Buffer): Promise<Listing> {
    return await listTar(archive, this.#since);
  }
}

/** Files of an engine's own making, whose content is not the image's. */
const engines = /^(?:dev|proc|sys|etc\/(?:hosts|hostname|resolv\.conf|mtab)|\.dockerenv)(?:\/|$)/;

/** Runs everything that brings files out of an engine, on the image `files:1`; each operation by its name. */
export async function runOperations(client: Client): Promise<Record<string, Outcome>> {
  const changed = `${prefix}-changed`;
  const written = `${prefix}-written`;
  const committed = `${prefix}-committed:1`;
  const work = mkdtempSync(join(tmpdir(), 'coracle-files-'));
  const outcomes: Record<string, Outcome> = {};
  try {
    client.run(['create', '--name', changed, '--network', 'none', 'files:1', 'sh', '-ec', changeScript]);
    outcomes['diff of a container that never ran'] = lines(client.text('diff', changed));
    outcomes['export of a container that never ran'] = imagesOwn(await client.list(['export', changed]));
    client.run(['start', '-a', changed]);
    // dockerd's order is another each time.
    outcomes['diff'] = lines(client.text('diff', changed)).toSorted();
    outcomes['export'] = imagesOwn(await client.list(['export', changed]));
    client.run(['commit', '-m', 'message', '-a', 'author', '-c', 'ENV x=y', changed, committed]);
    outcomes['commit: the new layer'] = await topLayer(client, committed);
    outcomes['commit: the configuration'] = configuration(client, committed);
    for (const path of [
      '/k',
      '/k/',
      '/k/.',
      '/k/file',
      '/k/link',
      '/k/link-dir',
      '/k/link-dir/',
      '/k/char',
      '/k/fifo',
    ]) {
      outcomes[`cp ${path} -`] = await client.list(['cp', `${changed}:${path}`, '-']);
    }
    for (const path of ['/k/link', '/k/link-dir', '/k/link-up', '/k/link-absolute']) {
      outcomes[`cp -L ${path} -`] = await client.list(['cp', '-L', `${changed}:${path}`, '-']);
    }
    outcomes['cp -a /k -'] = await client.list(['cp', '-a', `${changed}:/k`, '-']);
    for (const path of ['/k/link-dangling', '/nothing', '/k/file/x', '/k/file/']) {
      for (const flags of [[], ['-L']]) {
        const out = client
          .run(['cp', ...flags, `${changed}:${path}`, join(work, 'x')], undefined, true)
          .toString();
        outcomes[`cp ${flags.join(' ')} ${path}, which cannot be`] = errorLines(out, work);
      }
    }
    await copyIn(client, changed, written, work, outcomes);
    return outcomes;
  } finally {
    rmSync(work, { recursive: true, force: true });
    for (const name of [changed, written]) client.run(['rm', '-f', name], undefined, true);
    client.run(['rmi', '-f', committed], undefined, true);
  }
}

/** What came out of one container goes into another, by tar and by files, as a user of its own and as it is. */
async function copyIn(
  client: Client,
  from: string,
  to: string,
  work: string,
  outcomes: Record<string, Outcome>,
): Promise<void> {
  client.run(['create', '--name', to, '--network', 'none', '-u', '33', 'files:1', 'true']);
  const archive = client.run(['cp', `${from}:/k`, '-']);
  spawnSync('tar', ['--xattrs', '--xattrs-include=*', '-xpf', '-', '-C', work], { input: archive });
  for (const [name, flags, source, target] of [
    ['a tar', [], '-', '/in-tar'],
    ['a tar, as the user', ['-a'], '-', '/in-tar-a'],
    ['files', [], join(work, 'k'), '/in-files'],
    ['files, as they are', ['-a'], join(work, 'k'), '/in-files-a'],
    ['the content of a directory', [], join(work, 'k/dir/.'), '/in-content'],
    ['one file', [], join(work, 'k/capability'), '/in-one'],
    ['a link, followed', ['-L'], join(work, 'k/link'), '/in-followed'],
    ['a file, through a link of the container', [], join(work, 'k/content'), '/k/link-absolute'],
  ] as const) {
    if (source === '-') {
      const members = spawnSync('tar', [
        '--transform',
        `s,^,${target.slice(1)}/,`,
        '-cf',
        '-',
        '--files-from',
        '/dev/null',
      ]);
      client.run(['cp', ...flags, '-', `${to}:/`], Buffer.concat([renamed(archive, target), members.stdout]));
    } else {
      client.run(['cp', ...flags, source, `${to}:${target}`]);
    }
    const isDirectory = target !== '/in-one' && target !== '/in-followed' && !target.startsWith('/k');
    outcomes[`cp in: ${name}`] = await client.list([
      'cp',
      `${to}:${isDirectory ? `${target}/.` : target}`,
      '-',
    ]);
  }
  outcomes['cp in: the file that a link led to'] = await client.list(['cp', `${to}:/k/dir/file`, '-']);
  for (const [source, target] of [
    ['k/dir', '/k/file'],
    ['k/file', '/k/dir'],
    ['k/file', '/nothing/x'],
    ['k/file', '/k/file/x'],
    ['k/file', '/k/file/'],
    ['k/file', '/k/link-dangling'],
  ] as const) {
    const out = client.run(['cp', join(work, source), `${to}:${target}`], undefined, true).toString();
    outcomes[`cp in: ${source} to ${target}`] = errorLines(out, work);
  }
  outcomes['cp in: diff'] = lines(client.text('diff', to)).toSorted();
}

/** The archive's own directory `k/` under another name. */
function renamed(archive: Buffer, target: string): Buffer {
  const work = mkdtempSync(join(tmpdir(), 'coracle-files-'));
  try {
    const keep = ['--xattrs', '--xattrs-include=*'];
    spawnSync('tar', [...keep, '-xpf', '-', '-C', work], { input: archive });
    const argv = [
      ...keep,
      '--numeric-owner',
      '--sort=name',
      '--format=pax',
      '--transform',
      `s,^k,${target.slice(1)},S`,
    ];
    return spawnSync('tar', ['-C', work, ...argv, '-cf', '-', 'k'], { maxBuffer: 2 ** 30 }).stdout;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** Without what tells one machine from another, and without what the client says of its own end of a broken pipe. */
function errorLines(text: string, work: string): string[] {
  const plain = text.replaceAll(work, '').replaceAll(/\/\S*\/merged\//g, '/');
  return lines(plain).filter((line) => !line.startsWith('time="'));
}

function imagesOwn(listing: Listing): Listing {
  return Object.fromEntries(Object.entries(listing).filter(([path]) => !engines.test(path)));
}

async function topLayer(client: Client, name: string): Promise<Listing> {
  const work = mkdtempSync(join(tmpdir(), 'coracle-files-'));
  try {
    spawnSync('tar', ['-x', '-C', work], { input: client.run(['save', name]) });
    const [item] = JSON.parse(readFileSync(join(work, 'manifest.json'), 'utf8')) as [{ Layers: string[] }];
    return imagesOwn(await client.listLayer(readFileSync(join(work, item.Layers.at(-1) ?? ''))));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The members that say the same on every engine. */
function configuration(client: Client, name: string): string[] {
  const [image] = JSON.parse(client.text('inspect', name)) as [Record<string, unknown>];
  const { Author, Comment, Config, Architecture, Os, Size } = image as {
    Config: Record<string, unknown>;
  } & Record<string, unknown>;
  const { Env, Cmd, Entrypoint, User, WorkingDir, Volumes, Labels } = Config;
  const history = lines(
    client.text('history', '--no-trunc', '--format', '{{.CreatedBy}}|{{.Size}}|{{.Comment}}', name),
  );
  const members = {
    Author,
    Comment,
    Architecture,
    Os,
    Size,
    Env,
    Cmd,
    Entrypoint,
    User,
    WorkingDir,
    Volumes,
    Labels,
  };
  return [...Object.entries(members).map(([key, value]) => `${key}: ${JSON.stringify(value)}`), ...history];
}
