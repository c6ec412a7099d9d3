// What testcontainers for Node does with an engine, as a transcript; IMG is the base image. Its reaper needs an image of its
// own from a registry, so TESTCONTAINERS_RYUK_DISABLED is set.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.CLIENT_MODULES}/`);
const { GenericContainer, Network, Wait } = require('testcontainers');
const { P, IMG } = process.env;
const show = (title, ...values) => console.log(`${title}:`, ...values.map((value) => JSON.stringify(value)));

// The library's own sockets do not keep the program alive.
setInterval(() => undefined, 1000);

const network = await new Network().start();
const container = await new GenericContainer(IMG)
  .withCommand(['sh', '-c', 'echo served > /tmp/index.html; echo ready; exec httpd -f -p 8080 -h /tmp'])
  .withName(`${P}-box`)
  .withEnvironment({ A: '1' })
  .withExposedPorts(8080)
  .withNetwork(network)
  .withNetworkAliases('server')
  .withTmpFs({ '/t': 'size=1m' })
  .withCopyContentToContainer([{ content: 'copied in', target: '/copied/file' }])
  .withHealthCheck({
    test: ['CMD-SHELL', 'wget -q -O /dev/null http://127.0.0.1:8080/index.html'],
    interval: 500,
    retries: 5,
  })
  .withWaitStrategy(Wait.forAll([Wait.forListeningPorts(), Wait.forHealthCheck()]))
  .withStartupTimeout(20_000)
  .start();
const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(8080)}/index.html`);
show('http', answer.status, await answer.text());
show('name', container.getName().replace(P, 'P'));
show('copied', await container.exec(['cat', '/copied/file']));
show('exec', await container.exec(['sh', '-c', 'echo $A; echo e >&2; exit 3']));
const archive = [];
for await (const chunk of await container.copyArchiveFromContainer('/copied')) archive.push(chunk);
show('archive', Buffer.concat(archive).includes('copied in'));
const logs = await container.logs();
const line = await new Promise((resolve) => logs.once('data', resolve));
logs.destroy();
show('logs', String(line).trim());
await container.restart();
show('restarted', (await container.exec(['cat', '/copied/file'])).output);
const committed = await container.commit({ repo: P.toLowerCase(), tag: 'tc' });
show('committed', committed.startsWith('sha256:'));
await container.stop();
await network.stop();
process.exit(0);
