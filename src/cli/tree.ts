import type { Group, Leaf, Node } from './command.ts';

type Load = Leaf['load'];

function leaf(name: string, summary: string, load: Load, rest: Partial<Leaf> = {}): Leaf {
  return { kind: 'leaf', name, summary, load, ...rest };
}

function group(name: string, summary: string, children: readonly Leaf[]): Group {
  return { kind: 'group', name, summary, children };
}

/** The same command within its group and at the top. */
function both(name: string, summary: string, load: Load, inGroup: string, rest: Partial<Leaf> = {}): Leaf {
  return leaf(name, summary, load, { paths: [`${inGroup} ${name}`, name], ...rest });
}

const lifecycle = () => import('./commands/container/lifecycle.ts');
const transfer = () => import('./commands/image/transfer.ts');
const inspection = () => import('./commands/inspect.ts');

const containerCommands: readonly Leaf[] = [
  both(
    'create',
    'Make a container without starting it',
    async () => (await import('./commands/container/create.ts')).create,
    'container',
  ),
  both(
    'exec',
    'Run a command in a running container',
    async () => (await import('./commands/container/exec.ts')).exec,
    'container',
    { common: 2 },
  ),
  leaf('inspect', 'Show all there is to know about containers', async () =>
    (await inspection()).inspectOf('container', '[OPTIONS] CONTAINER [CONTAINER...]', true),
  ),
  both('kill', 'Kill running containers', async () => (await lifecycle()).kill, 'container'),
  both(
    'logs',
    'Show what a container has written',
    async () => (await import('./commands/container/logs.ts')).logs,
    'container',
  ),
  leaf('ls', 'List containers', async () => (await import('./commands/container/ls.ts')).ls, {
    aliases: ['list', 'ps'],
    paths: ['container ls', 'container list', 'container ps', 'ps'],
  }),
  both('pause', 'Freeze all processes of containers', async () => (await lifecycle()).pause, 'container'),
  both('rename', 'Give a container another name', async () => (await lifecycle()).rename, 'container'),
  both(
    'restart',
    'Stop containers and start them again',
    async () => (await lifecycle()).restart,
    'container',
  ),
  leaf('rm', 'Remove containers', async () => (await lifecycle()).rm, {
    aliases: ['remove'],
    paths: ['container rm', 'container remove', 'rm'],
  }),
  both(
    'run',
    'Make a container from an image and start it',
    async () => (await import('./commands/container/run.ts')).run,
    'container',
    { common: 1 },
  ),
  both('stop', 'Stop running containers', async () => (await lifecycle()).stop, 'container'),
  both('unpause', 'Let frozen containers go on', async () => (await lifecycle()).unpause, 'container'),
  both(
    'wait',
    'Wait until containers stop and print their exit codes',
    async () => (await lifecycle()).wait,
    'container',
  ),
];

const imageCommands: readonly Leaf[] = [
  both(
    'import',
    'Make an image from a tar archive of a file system',
    async () => (await transfer()).importImage,
    'image',
  ),
  leaf('inspect', 'Show all there is to know about images', async () =>
    (await inspection()).inspectOf('image', '[OPTIONS] IMAGE [IMAGE...]'),
  ),
  both('load', 'Load images from an archive', async () => (await transfer()).load, 'image'),
  leaf('ls', 'List images', async () => (await import('./commands/image/ls.ts')).ls, {
    aliases: ['list'],
    paths: ['image ls', 'image list', 'images'],
  }),
  both('save', 'Write images to an archive', async () => (await transfer()).save, 'image'),
];

/** Commands of a group that also stand at the top, under a name that may be another. */
function promoted(
  children: readonly Leaf[],
  names: Readonly<Record<string, string>>,
  common: Readonly<Record<string, number>> = {},
): Leaf[] {
  return Object.entries(names).map(([top, name]) => {
    const child = children.find((one) => one.name === name) as Leaf;
    const { aliases: _, ...rest } = child;
    return { ...rest, name: top, ...(common[top] !== undefined && { common: common[top] }) };
  });
}

function same(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, name]));
}

/** Every command there is. */
export const root: readonly Node[] = [
  group('container', 'Manage containers', containerCommands),
  group('image', 'Manage images', imageCommands),
  ...promoted(
    containerCommands,
    {
      ...same(
        'create',
        'exec',
        'kill',
        'logs',
        'pause',
        'rename',
        'restart',
        'rm',
        'run',
        'stop',
        'unpause',
        'wait',
      ),
      ps: 'ls',
    },
    { ps: 3 },
  ),
  ...promoted(imageCommands, { ...same('import', 'load', 'save'), images: 'ls' }, { images: 7 }),
  leaf(
    'inspect',
    'Show all there is to know about containers, images, networks and volumes',
    async () => (await inspection()).inspect,
  ),
  leaf(
    'version',
    'Show the versions of this client and of the engine',
    async () => (await import('./commands/system/version.ts')).version,
    { common: 11 },
  ),
];
