import type { Group, Leaf, Node } from './command.ts';

type Load = Leaf['load'];

function leaf(name: string, summary: string, load: Load, rest: Partial<Leaf> = {}): Leaf {
  return { kind: 'leaf', name, summary, load, ...rest };
}

function group(name: string, summary: string, children: readonly Leaf[]): Group {
  return { kind: 'group', name, summary, children };
}

/** A command of the container group that also stands at the top. */
function container(name: string, summary: string, load: Load): Leaf {
  return leaf(name, summary, load, { paths: [`container ${name}`, name] });
}

function image(name: string, summary: string, load: Load): Leaf {
  return leaf(name, summary, load, { paths: [`image ${name}`, name] });
}

// Each module is evaluated when one of its commands is called, and only then.
const lifecycle = () => import('./commands/container/lifecycle.ts');
const attachment = () => import('./commands/container/attach.ts');
const look = () => import('./commands/container/look.ts');
const archives = () => import('./commands/container/archive.ts');
const transfer = () => import('./commands/image/transfer.ts');
const names = () => import('./commands/image/names.ts');
const inspection = () => import('./commands/inspect.ts');
const prune = () => import('./commands/prune.ts');
const volumes = () => import('./commands/volume/volume.ts');
const networks = () => import('./commands/network/network.ts');
const contexts = () => import('./commands/context/context.ts');
const registry = () => import('./commands/system/registry.ts');
const manifests = () => import('./commands/manifest/manifest.ts');

const containerCommands: readonly Leaf[] = [
  container(
    'attach',
    'Connect this terminal to a running container',
    async () => (await attachment()).attach,
  ),
  container(
    'commit',
    'Make an image from what a container has changed',
    async () => (await archives()).commit,
  ),
  container(
    'cp',
    'Copy files between a container and this machine',
    async () => (await import('./commands/container/cp.ts')).cp,
  ),
  container(
    'create',
    'Make a container without starting it',
    async () => (await import('./commands/container/create.ts')).create,
  ),
  container('diff', 'Show what a container has changed in its file system', async () => (await look()).diff),
  container(
    'exec',
    'Run a command in a running container',
    async () => (await import('./commands/container/exec.ts')).exec,
  ),
  container(
    'export',
    'Write a container’s file system as a tar archive',
    async () => (await archives()).exportContainer,
  ),
  leaf('inspect', 'Show all there is to know about containers', async () =>
    (await inspection()).inspectOf('container', '[OPTIONS] CONTAINER [CONTAINER...]', true),
  ),
  container('kill', 'Kill running containers', async () => (await lifecycle()).kill),
  container(
    'logs',
    'Show what a container has written',
    async () => (await import('./commands/container/logs.ts')).logs,
  ),
  leaf('ls', 'List containers', async () => (await import('./commands/container/ls.ts')).ls, {
    aliases: ['list', 'ps'],
    paths: ['container ls', 'container list', 'container ps', 'ps'],
  }),
  container('pause', 'Freeze all processes of containers', async () => (await lifecycle()).pause),
  container('port', 'Show the published ports of a container', async () => (await look()).port),
  leaf('prune', 'Remove all stopped containers', async () => (await prune()).containerPrune),
  container('rename', 'Give a container another name', async () => (await lifecycle()).rename),
  container('restart', 'Stop containers and start them again', async () => (await lifecycle()).restart),
  leaf('rm', 'Remove containers', async () => (await lifecycle()).rm, {
    aliases: ['remove'],
    paths: ['container rm', 'container remove', 'rm'],
  }),
  container(
    'run',
    'Make a container from an image and start it',
    async () => (await import('./commands/container/run.ts')).run,
  ),
  container('start', 'Start stopped containers', async () => (await attachment()).start),
  container(
    'stats',
    'Show what containers use, live',
    async () => (await import('./commands/container/stats.ts')).stats,
  ),
  container('stop', 'Stop running containers', async () => (await lifecycle()).stop),
  container('top', 'Show the processes of a container', async () => (await look()).top),
  container('unpause', 'Let frozen containers go on', async () => (await lifecycle()).unpause),
  container(
    'update',
    'Change the limits of containers',
    async () => (await import('./commands/container/update.ts')).update,
  ),
  container(
    'wait',
    'Wait until containers stop and print their exit codes',
    async () => (await lifecycle()).wait,
  ),
];

const imageCommands: readonly Leaf[] = [
  leaf(
    'build',
    'Build an image from a Dockerfile',
    async () => (await import('./commands/image/build.ts')).build,
    { paths: ['image build', 'build', 'builder build'] },
  ),
  leaf(
    'bootstrap',
    'Make a base image on this machine, without a registry',
    async () => (await names()).bootstrap,
  ),
  image(
    'history',
    'Show how an image was made',
    async () => (await import('./commands/image/history.ts')).history,
  ),
  image(
    'import',
    'Make an image from a tar archive of a file system',
    async () => (await transfer()).importImage,
  ),
  leaf('inspect', 'Show all there is to know about images', async () => (await inspection()).inspectImage),
  image('load', 'Load images from an archive', async () => (await transfer()).load),
  leaf('ls', 'List images', async () => (await import('./commands/image/ls.ts')).ls, {
    aliases: ['list'],
    paths: ['image ls', 'image list', 'images'],
  }),
  leaf('prune', 'Remove unused images', async () => (await prune()).imagePrune),
  image('pull', 'Download an image from a registry', async () => (await names()).pull),
  image('push', 'Upload an image to a registry', async () => (await names()).push),
  leaf('rm', 'Remove images', async () => (await names()).rm, {
    aliases: ['remove'],
    paths: ['image rm', 'image remove', 'rmi'],
  }),
  image('save', 'Write images to an archive', async () => (await transfer()).save),
  image('tag', 'Give an image another name', async () => (await names()).tag),
];

const manifestCommands: readonly Leaf[] = [
  leaf(
    'annotate',
    'Say more of the platform of a manifest in a local list',
    async () => (await manifests()).annotate,
  ),
  leaf('create', 'Begin a local list of manifests, to be pushed', async () => (await manifests()).create),
  leaf('inspect', 'Show a manifest, or a list of them', async () => (await manifests()).inspect),
  leaf('push', 'Push a local list of manifests to a registry', async () => (await manifests()).push),
  leaf('rm', 'Forget local lists of manifests', async () => (await manifests()).rm),
];

const volumeCommands: readonly Leaf[] = [
  leaf('create', 'Make a volume', async () => (await volumes()).create),
  leaf('inspect', 'Show all there is to know about volumes', async () =>
    (await inspection()).inspectOf('volume', '[OPTIONS] VOLUME [VOLUME...]'),
  ),
  leaf('ls', 'List volumes', async () => (await volumes()).ls, {
    aliases: ['list'],
    paths: ['volume ls', 'volume list'],
  }),
  leaf('prune', 'Remove unused volumes', async () => (await prune()).volumePrune),
  leaf('rm', 'Remove volumes', async () => (await volumes()).rm, {
    aliases: ['remove'],
    paths: ['volume rm', 'volume remove'],
  }),
];

const networkCommands: readonly Leaf[] = [
  leaf('connect', 'Connect a container to a network', async () => (await networks()).connect),
  leaf('create', 'Make a network', async () => (await networks()).create),
  leaf('disconnect', 'Take a container off a network', async () => (await networks()).disconnect),
  leaf('inspect', 'Show all there is to know about networks', async () =>
    (await inspection()).inspectOf('network', '[OPTIONS] NETWORK [NETWORK...]'),
  ),
  leaf('ls', 'List networks', async () => (await networks()).ls, {
    aliases: ['list'],
    paths: ['network ls', 'network list'],
  }),
  leaf('prune', 'Remove unused networks', async () => (await prune()).networkPrune),
  leaf('rm', 'Remove networks', async () => (await networks()).rm, {
    aliases: ['remove'],
    paths: ['network rm', 'network remove'],
  }),
];

const systemCommands: readonly Leaf[] = [
  leaf('df', 'Show what takes up disk space', async () => (await import('./commands/system/df.ts')).df),
  leaf(
    'events',
    'Show what happens, as it happens',
    async () => (await import('./commands/system/events.ts')).events,
    {
      paths: ['system events', 'events'],
    },
  ),
  leaf(
    'info',
    'Show what the engine and its machine are',
    async () => (await import('./commands/system/info.ts')).info,
    {
      paths: ['system info', 'info'],
    },
  ),
  leaf('prune', 'Remove everything that is not used', async () => (await prune()).systemPrune),
];

const contextCommands: readonly Leaf[] = [
  leaf('ls', 'List contexts', async () => (await contexts()).ls, {
    aliases: ['list'],
    paths: ['context ls', 'context list'],
  }),
  leaf('show', 'Print the name of the current context', async () => (await contexts()).show),
  leaf('use', 'Make a context the current one', async () => (await contexts()).use),
];

/** Commands of a group that also stand at the top, under a name that may be another. */
function promoted(
  children: readonly Leaf[],
  tops: readonly string[],
  common: Readonly<Record<string, number>>,
): Leaf[] {
  return tops.map((top) => {
    const [name = '', inGroup = name] = top.split('=');
    const { aliases: _, ...child } = children.find((one) => one.name === inGroup) as Leaf;
    return { ...child, name, ...(common[name] !== undefined && { common: common[name] }) };
  });
}

/** Every command there is. */
export const root: readonly Node[] = [
  group('builder', 'Manage the build cache', [
    leaf(
      'build',
      'Build an image from a Dockerfile',
      async () => (await import('./commands/image/build.ts')).build,
      { paths: ['image build', 'build', 'builder build'] },
    ),
    leaf('prune', 'Remove the build cache', async () => (await prune()).builderPrune),
  ]),
  group('container', 'Manage containers', containerCommands),
  group('context', 'Manage contexts', contextCommands),
  group('image', 'Manage images', imageCommands),
  group('manifest', 'Manage manifests and lists of them in registries', manifestCommands),
  group('network', 'Manage networks', networkCommands),
  group('system', 'Manage the engine', systemCommands),
  group('volume', 'Manage volumes', volumeCommands),
  ...promoted(
    containerCommands,
    'attach commit cp create diff exec export kill logs pause port ps=ls rename restart rm run start stats stop top unpause update wait'.split(
      ' ',
    ),
    { run: 1, exec: 2, ps: 3 },
  ),
  ...promoted(imageCommands, 'build history images=ls import load pull push rmi=rm save tag'.split(' '), {
    build: 4,
    pull: 5,
    push: 6,
    images: 7,
  }),
  ...promoted(systemCommands, ['events', 'info'], { info: 12 }),
  leaf(
    'inspect',
    'Show all there is to know about containers, images, networks and volumes',
    async () => (await inspection()).inspect,
  ),
  leaf('login', 'Log in to a registry', async () => (await registry()).login, { common: 8 }),
  leaf('logout', 'Log out from a registry', async () => (await registry()).logout, { common: 9 }),
  leaf(
    'search',
    'Search a registry for images',
    async () => (await import('./commands/image/search.ts')).search,
    { common: 10 },
  ),
  leaf(
    'version',
    'Show the versions of this client and of the engine',
    async () => (await import('./commands/system/version.ts')).version,
    { common: 11 },
  ),
  leaf(
    'completion',
    'Print the completion script of a shell',
    async () => (await import('./commands/completion.ts')).completion,
  ),
  leaf('daemon', 'Run the engine', async () => (await import('./daemon-start.ts')).daemon),
  leaf('__complete', '', async () => (await import('./commands/completion.ts')).complete, { hidden: true }),
];
