import Fastify from 'fastify';

const app = Fastify();
app.get('/', async () => ({ hello: 'from Node.js' }));

if (process.argv.includes('--check')) {
  const { body } = await app.inject('/');
  console.log(body);
} else {
  await app.listen({ host: '0.0.0.0', port: 8000 });
}
