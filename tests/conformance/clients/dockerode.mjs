// What dockerode does with an engine, as a transcript; P is a prefix for names, IMG the base image.
import { createRequire } from 'node:module';
import { PassThrough } from 'node:stream';

const require = createRequire(`${process.env.CLIENT_MODULES}/`);
const Docker = require('dockerode');
const { P, IMG } = process.env;
const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace('unix://', '') });

const show = (title, ...values) =>
  console.log(`${title}:`, ...values.map((value) => JSON.stringify(value)?.replaceAll(P, 'P')));

async function fails(title, call) {
  try {
    await call();
    show(title, 'no error');
  } catch (error) {
    show(title, error.statusCode, error.reason);
  }
}

function collected() {
  const stream = new PassThrough();
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  stream.text = () => Buffer.concat(chunks).toString();
  return stream;
}

const ended = (stream) =>
  new Promise((resolve, reject) => stream.once('end', resolve).once('close', resolve).once('error', reject));

show('ping', (await docker.ping()).toString());
show('info', (await docker.info()).OSType);

const out = collected();
const err = collected();
const [status, ran] = await docker.run(IMG, ['sh', '-c', 'echo out; echo err >&2; exit 3'], [out, err], {
  Tty: false,
});
show('run', status.StatusCode, out.text(), err.text());
await ran.remove();
const terminal = collected();
const [ttyStatus, ttyRan] = await docker.run(IMG, ['tty'], terminal);
show('run tty', ttyStatus.StatusCode, terminal.text());
await ttyRan.remove();

const container = await docker.createContainer({
  name: `${P}-box`,
  Image: IMG,
  Cmd: ['cat'],
  OpenStdin: true,
  StdinOnce: true,
  AttachStdin: true,
  Labels: { of: P },
  HostConfig: { AutoRemove: false, Memory: 64 << 20 },
});
const events = [];
const feed = await docker.getEvents({ filters: { container: [container.id] } });
let pending = '';
feed.on('data', (chunk) => {
  pending += chunk;
  const lines = pending.split('\n');
  pending = lines.pop();
  events.push(...lines.filter((line) => line !== '').map((line) => JSON.parse(line)));
});
const attached = await container.attach({
  stream: true,
  stdin: true,
  stdout: true,
  stderr: true,
  hijack: true,
});
const echoed = collected();
container.modem.demuxStream(attached, echoed, echoed);
const detached = ended(attached);
await container.start();
attached.write('one\n');
await new Promise((resolve) => echoed.once('data', resolve));

const exec = await container.exec({
  Cmd: ['sh', '-c', 'cat; echo e >&2; exit 4'],
  AttachStdin: true,
  AttachStdout: true,
  AttachStderr: true,
});
const session = await exec.start({ hijack: true, stdin: true });
const execOut = collected();
const execErr = collected();
container.modem.demuxStream(session, execOut, execErr);
session.end('given\n');
await ended(session);
const execState = await exec.inspect();
show('exec', execOut.text(), execErr.text(), execState.ExitCode, execState.Running);

const stats = await container.stats({ stream: false });
show(
  'stats',
  stats.memory_stats.limit,
  stats.pids_stats.current > 0,
  stats.precpu_stats.system_cpu_usage > 0,
);
show(
  'list',
  (await docker.listContainers({ filters: { label: [`of=${P}`] } })).map((each) => [each.Names, each.State]),
);
show('top', (await container.top()).Titles.includes('PID'));
await container.pause();
show('paused', (await container.inspect()).State.Status);
await container.unpause();
await container.resize({ w: 10, h: 10 });
attached.end('two\n');
show('wait', (await container.wait()).StatusCode);
await detached;
show('echoed', echoed.text());
show('logs', (await container.logs({ stdout: true, stderr: true })).subarray(8).toString().slice(0, 4));
const logs = collected();
const follow = await container.logs({ stdout: true, follow: true });
container.modem.demuxStream(follow, logs, logs);
await ended(follow);
show('followed', logs.text());
await fails('kill stopped', () => container.kill());
await container.remove();
await fails('removed', () => container.inspect());
await new Promise((resolve) => setTimeout(resolve, 300));
feed.destroy();
show(
  'events',
  events.map((event) => event.Action.split(':')[0]).filter((action) => !action.startsWith('exec_')),
);
show(
  'exec events',
  events
    .map((event) => event.Action.split(':')[0])
    .filter((action) => action.startsWith('exec_'))
    .sort((a, b) => a.localeCompare(b)),
);

await docker.getImage(IMG).tag({ repo: P, tag: 'one' });
const saved = [];
for await (const chunk of await docker.getImage(`${P}:one`).get()) saved.push(chunk);
await docker.getImage(`${P}:one`).remove();
const load = await docker.loadImage(Buffer.concat(saved));
const progress = await new Promise((resolve, reject) =>
  docker.modem.followProgress(load, (error, lines) => (error ? reject(error) : resolve(lines))),
);
show('load', progress.at(-1).stream);
await docker.getImage(`${P}:one`).remove();
await fails('missing image', () => docker.getImage(`${P}:one`).inspect());

const volume = await docker.createVolume({ Name: `${P}-v`, Labels: { a: 'b' } });
show('volume', (await volume.inspect()).Labels);
await volume.remove();
await fails('missing volume', () => volume.inspect());
const network = await docker.createNetwork({ Name: `${P}-n`, Internal: true });
show('network', (await network.inspect()).Internal);
await network.remove();
await fails('missing network', () => network.inspect());
