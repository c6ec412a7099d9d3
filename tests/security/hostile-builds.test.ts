/** Contexts and Dockerfiles that mean no good: an error that says why, in a short time, and nothing outside is touched. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TarSource } from '../../src/archive/index.ts';
import { baseImage } from '../conformance/cli/run-case.ts';
import { buildThrough, imageTree } from '../fixtures/build-case.ts';
import { Target } from './attack.ts';
import { Bait } from './bait.ts';
import { file, hardlink, link, tarOf } from '../fixtures/tar-members.ts';

const target = Target.create();
const bait = Bait.create();

async function build(
  dockerfile: string,
  members: readonly TarSource[] = [],
  parameters = {},
): ReturnType<typeof buildThrough> {
  const body = await tarOf([...members, file('Dockerfile', dockerfile)]);
  return await buildThrough(target.daemon.socket, body, parameters);
}

describe('contexts', () => {
  test('links out of the context lead nowhere', async () => {
    const members = [
      link('absolute', `${bait.directory}/secret`),
      link('relative', `../../../../../../../../../../..${bait.directory}/secret`),
      link('directory', bait.directory),
      link('root', '/'),
    ];
    for (const source of ['absolute', 'relative', 'directory/secret', `root${bait.directory}/secret`]) {
      const { output, error } = await build(
        `FROM ${baseImage}\nCOPY ${source} /got\nRUN cat /got\n`,
        members,
      );
      assert.doesNotMatch(output, /host secret/, source);
      assert.ok((error ?? '') !== '', source);
    }
    const mounted = await build(
      `FROM ${baseImage}\nRUN --mount=source=directory,target=/m cat /m/secret || true\nRUN --mount=source=root,target=/m cat /m${bait.directory}/secret || true\n`,
      members,
    );
    assert.doesNotMatch(mounted.output, /host secret/);
    const whole = await build(
      `FROM ${baseImage}\nCOPY . /all/\nRUN cat /all/absolute /all/directory/secret || true\n`,
      members,
    );
    assert.equal(whole.error, undefined);
    assert.doesNotMatch(whole.output, /host secret/);
  });

  test('a Dockerfile or an ignore file that is a link out is not read', async () => {
    for (const name of ['Dockerfile', 'other']) {
      const body = await tarOf([link(name, `${bait.directory}/secret`), file('x', 'x')]);
      const { error } = await buildThrough(target.daemon.socket, body, { dockerfile: name });
      assert.doesNotMatch(error ?? '', /host secret/);
      assert.ok((error ?? '') !== '');
    }
    const ignored = await build(`FROM ${baseImage}\nCOPY . /all\n`, [
      link('.dockerignore', `${bait.directory}/secret`),
    ]);
    assert.equal(ignored.error, undefined);
  });

  test('archives with members that lead out write nothing there', async () => {
    const attacks: TarSource[][] = [
      [file(`../../../../../../../..${bait.directory}/made`, 'evil')],
      [file(`${bait.directory}/made`, 'evil')],
      [link('out', bait.directory), file('out/made', 'evil')],
      [link('a', '..'), link('a/b', '..'), file('a/b/c', 'evil')],
      [hardlink('stolen', `${bait.directory}/secret`)],
      [link('l', bait.directory), hardlink('stolen', 'l/secret')],
      [link('.coracle-build-parts', bait.directory), file('.coracle-build-parts/Dockerfile', 'FROM scratch')],
    ];
    for (const [index, members] of attacks.entries()) {
      const { output } = await build(
        `FROM ${baseImage}\nCOPY . /all/\nRUN cat /all/stolen || true\n`,
        members,
      );
      assert.doesNotMatch(output, /host secret/, `context ${index}`);
      const archive = await tarOf(members);
      const inner: TarSource = {
        path: 'a.tar',
        type: 'file',
        mode: 0o644,
        sizeBytes: archive.length,
        body: [archive],
      };
      const added = await build(
        `FROM ${baseImage}\nRUN ln -s ${bait.directory} /here\nADD a.tar /here/\nRUN cat /here/stolen || true\n`,
        [inner],
      );
      assert.doesNotMatch(added.output, /host secret/, `archive ${index}`);
      assert.ok(!existsSync(join(bait.directory, 'made')));
    }
  });

  test('COPY ../ and its like stay in the context', async () => {
    for (const source of ['../secret', '../../../../../etc/passwd', 'a/../../x', './../x', '..']) {
      const { error } = await build(`FROM ${baseImage}\nCOPY ${source} /got\n`);
      assert.match(
        error ?? '',
        /forbidden path outside the build context|file not found|no source files/,
        source,
      );
    }
    const { error, imageId } = await build(
      `FROM ${baseImage}\nCOPY x ../../../../../../out\nWORKDIR ../../../../w\n`,
      [file('x', 'x')],
    );
    assert.equal(error, undefined);
    assert.equal((await imageTree(target.daemon.socket, imageId)).get('/out')?.text, 'x');
    const foreign = await build(
      `FROM ${baseImage}\nRUN ln -s ${bait.directory}/directory /d\nCOPY x /d/made\nADD x /d/\n`,
      [file('x', 'x')],
    );
    assert.equal(foreign.error, undefined);
  });

  test('a context whose files are known from an earlier one changes nothing of those', async () => {
    const members = Array.from({ length: 100 }, (_, i) => file(`f${i}`, `content ${i}\n`));
    const dockerfile = 'FROM scratch\nCOPY . /c/\n';
    const first = await build(dockerfile, members);
    assert.equal(first.error, undefined);
    const before = (await imageTree(target.daemon.socket, first.imageId)).get('/c/f1');
    const later: TarSource[][] = [
      [...members, { ...hardlink('again', 'f1'), mode: 0o4777, mtimeSeconds: 5 }],
      [...members, { ...hardlink('f1', 'f1'), mode: 0o4777, mtimeSeconds: 5 }],
      [...members, file('f1', 'evil\n'), link('f2', `${bait.directory}/secret`)],
      members.map((member) => ({ ...member, mode: 0o4777 })),
    ];
    for (const [index, context] of later.entries()) {
      const second = await build(dockerfile, context);
      assert.equal(second.error, undefined);
      const tree = await imageTree(target.daemon.socket, second.imageId);
      // Of two names of a file the first has the content.
      const seen = tree.get('/c/again') ?? tree.get('/c/f1');
      assert.equal(seen?.text, index === 2 ? 'evil\n' : 'content 1\n');
      if (index !== 2) assert.equal(seen?.mode, '4777', `context ${index}`);
      const now = (await imageTree(target.daemon.socket, first.imageId)).get('/c/f1');
      assert.deepEqual(now, before, `context ${index}`);
    }
  });
});

describe('Dockerfiles', () => {
  const within = async (seconds: number, work: () => Promise<void>): Promise<void> => {
    const begin = performance.now();
    await work();
    const took = (performance.now() - begin) / 1000;
    assert.ok(took < seconds, `it took ${took.toFixed(1)} s`);
  };

  test('100,000 lines', async () => {
    await within(60, async () => {
      const comments = await build(`FROM ${baseImage}\n${'# nothing\n'.repeat(100_000)}LABEL a=b\n`);
      assert.equal(comments.error, undefined);
      const continued = await build(`FROM ${baseImage}\nLABEL a=b ${'\\\n'.repeat(100_000)} c=d\n`);
      assert.equal(continued.error, undefined);
      const unknown = await build(`FROM ${baseImage}\n${'NOTHING x\n'.repeat(100_000)}`);
      assert.match(unknown.error ?? '', /unknown instruction: NOTHING/);
      const args = await build(
        `FROM scratch\n${Array.from({ length: 100_000 }, (_, i) => `ARG a${i}`).join('\n')}\nBROKEN\n`,
      );
      assert.match(args.error ?? '', /unknown instruction: BROKEN/);
      const pairs = Array.from({ length: 5000 }, (_, i) => `v${i}=${i}`).join(' ');
      const env = await build(`FROM ${baseImage}\nENV ${pairs}\nLABEL x=$v1 y=$v4999\n`);
      assert.equal(env.error, undefined);
    });
  });

  test('stages that wait for themselves or each other', async () => {
    const self = await build('FROM scratch AS a\nCOPY --from=a /x /y\n');
    assert.match(self.error ?? '', /refers to current build stage|circular|not found/);
    const later = await build(
      'FROM scratch AS a\nCOPY --from=b /x /y\nFROM scratch AS b\nCOPY --from=a /x /y\n',
    );
    assert.ok((later.error ?? '') !== '');
    const chain = Array.from({ length: 2000 }, (_, i) =>
      i === 0 ? 'FROM scratch AS s0' : `FROM s${i - 1} AS s${i}`,
    );
    await within(30, async () => {
      const { error } = await build(`${chain.join('\n')}\nLABEL deep=yes\n`);
      assert.equal(error, undefined);
    });
  });

  test('huge and open heredocs', async () => {
    const line = `${'x'.repeat(99)}\n`;
    await within(60, async () => {
      const { error, imageId } = await build(`FROM scratch\nCOPY <<EOF /big\n${line.repeat(100_000)}EOF\n`);
      assert.equal(error, undefined);
      assert.equal((await imageTree(target.daemon.socket, imageId)).has('/big'), true);
      const open = await build(`FROM scratch\nCOPY <<EOF /big\n${line.repeat(50_000)}`);
      assert.match(open.error ?? '', /unterminated heredoc/);
      const many = Array.from({ length: 2000 }, (_, i) => `<<E${i}`).join(' ');
      const bodies = Array.from({ length: 2000 }, (_, i) => `E${i}\n`).join('');
      const several = await build(`FROM scratch\nCOPY ${many} /d/\n${bodies}`);
      assert.equal(several.error, undefined);
      const tooLarge = await buildThrough(
        target.daemon.socket,
        Buffer.from(`FROM scratch\n#${'x'.repeat(17 << 20)}\n`),
        {},
      );
      assert.match(tooLarge.error ?? '', /too large|greater than max/);
    });
  });

  test('names, expansions and patterns that take time', async () => {
    await within(60, async () => {
      const nested = await build(`FROM scratch\nENV a=${'${b:-'.repeat(5000)}x${'}'.repeat(5000)}\n`);
      assert.match(nested.error ?? '', /nested too deeply|missing/);
      const growing = await build(`FROM scratch\nENV a=xxxxxxxxxx\n${'ENV a=$a$a\n'.repeat(40)}`);
      assert.ok((growing.error ?? '') !== '');
      const pattern = `${'*a'.repeat(40)}b`;
      const globbed = await build(`FROM ${baseImage}\nCOPY ${pattern} /x\n`, [file('a'.repeat(200), 'x')]);
      assert.ok((globbed.error ?? '') !== '');
      const ignored = await build(`FROM ${baseImage}\nCOPY . /x\n`, [
        file('.dockerignore', `${'**/a*'.repeat(30)}\n`),
        file(`${'a/'.repeat(40)}a`, 'x'),
      ]);
      assert.equal(ignored.error, undefined);
      const words = await build(`FROM ${baseImage}\nEXPOSE 1-65535\nLABEL ${'"'.repeat(99_999)}\n`);
      assert.ok((words.error ?? '') !== '');
      for (const name of ['__proto__', 'constructor', 'toString']) {
        const strange = await build(
          `FROM scratch AS ${name.toLowerCase()}\nARG ${name}\nENV ${name}=$${name}x\nLABEL ${name}=y\n`,
          [],
          {
            buildargs: JSON.stringify({ other: 'x' }),
          },
        );
        assert.ok(
          strange.error === undefined || /invalid name for build stage/.test(strange.error),
          strange.error ?? '',
        );
      }
    });
  });
});
