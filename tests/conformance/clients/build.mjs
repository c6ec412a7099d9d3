// How dockerode and testcontainers for Node build with an engine, as a transcript; P is a prefix for names, IMG the base image.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.CLIENT_MODULES}/`);
const Docker = require('dockerode');
const { GenericContainer } = require('testcontainers');
const { P, IMG, WORK } = process.env;
const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace('unix://', '') });
const show = (title, ...values) => console.log(`${title}:`, ...values.map((value) => JSON.stringify(value)));

// testcontainers' own sockets do not keep the program alive.
setInterval(() => undefined, 1000);

const context = `${WORK}/context`;
mkdirSync(context);
writeFileSync(`${context}/file`, 'content\n');
writeFileSync(
  `${context}/Dockerfile`,
  `FROM ${IMG} AS first\nARG V=1\nRUN echo "built $V" > /v\nFROM first\nCOPY file /file\nCMD sleep 100\n`,
);

const built = async (src, options) => {
  const stream = await docker.buildImage({ context, src }, options);
  return new Promise((resolve, reject) =>
    docker.modem.followProgress(stream, (error, output) => (error ? reject(error) : resolve(output))),
  );
};
const output = await built(['Dockerfile', 'file'], {
  t: `${P}:a`,
  buildargs: { V: '7' },
  labels: { by: 'dockerode' },
});
const text = output.map(({ stream = '' }) => stream).join('');
show('steps', text.match(/^Step .*/gm));
show('tagged', /Successfully tagged (.*)\n$/.exec(text)?.[1]?.replace(P, 'P'));
show(
  'id',
  output.some(({ aux }) => aux?.ID?.startsWith('sha256:')),
);
const image = await docker.getImage(`${P}:a`).inspect();
show('image', image.Config.Labels, image.Config.Cmd);
const again = await built(['Dockerfile', 'file'], {
  t: `${P}:a`,
  buildargs: { V: '7' },
  labels: { by: 'dockerode' },
});
show('same', (await docker.getImage(`${P}:a`).inspect()).Id === image.Id, again.length > 0);
for (const [title, options] of [
  ['no file', { dockerfile: 'none' }],
  ['no target', { target: 'none' }],
]) {
  await built(['Dockerfile', 'file'], options).then(
    () => show(title, 'no error'),
    (error) => show(title, error.statusCode, error.reason),
  );
}

const made = await GenericContainer.fromDockerfile(context)
  .withBuildArgs({ V: 'testcontainers' })
  .withCache(false)
  .build(`${P}:tc`, { deleteOnExit: false });
const container = await made.start();
show('container', (await container.exec(['cat', '/v', '/file'])).output);
await container.stop();
for (const name of ['a', 'tc']) await docker.getImage(`${P}:${name}`).remove({ force: true });
process.exit(0);
