import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IgnoreRules } from '../../archive/index.ts';
import { digestOf } from '../../spec/index.ts';
import type { BuildContext } from '../context/build-context.ts';
import { SourceFiles } from '../context/source-files.ts';
import { Materials, imageUrl } from './materials.ts';
import { provenance } from './provenance.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const context: BuildContext = {
  directory: '',
  dockerfile: 'FROM scratch\n',
  dockerfileName: 'Dockerfile',
  ignored: new IgnoreRules([]),
  sentDirectory: '',
  files: new SourceFiles(new Map()),
  commit: undefined,
};
const times = { machine: amd64, startedAtMs: 0, finishedAtMs: 1000 };

interface Predicate {
  buildDefinition: {
    externalParameters: { configSource: object; request: Record<string, unknown> };
    resolvedDependencies: object[];
  };
  runDetails: { builder: object; metadata: Record<string, unknown> };
}

describe('imageUrl()', () => {
  for (const [name, url] of [
    ['alpine', 'pkg:docker/alpine@latest?platform=linux%2Famd64'],
    ['localhost:5000/a/b:1', 'pkg:docker/localhost:5000/a/b@1?platform=linux%2Famd64'],
  ] as const) {
    test(`names ${name}`, () => assert.equal(imageUrl(name, amd64), url));
  }
});

describe('provenance()', () => {
  const request = {
    buildArgs: { TOKEN: 'in-an-argument' },
    labels: { l: 'v' },
    target: 'last',
    secrets: new Map([['id', Buffer.from('in-a-secret')]]),
  };

  test('mode=min tells no argument, label or secret', () => {
    const { predicate } = provenance(request, { mode: 'min' }, { context, materials: [], ...times });
    const { buildDefinition, runDetails } = predicate as Predicate;
    assert.deepEqual(buildDefinition.externalParameters.request, {
      frontend: 'dockerfile.v0',
      args: { target: 'last' },
      locals: [{ name: 'context' }, { name: 'dockerfile' }],
    });
    assert.deepEqual(runDetails.metadata['buildkit_metadata'], {});
    assert.doesNotMatch(JSON.stringify(predicate), /in-an-argument|in-a-secret/);
  });

  test('mode=max tells arguments, ids of secrets and the Dockerfile, and no content of a secret', () => {
    const options = { mode: 'max', builderId: 'https://example.com/me', isReproducible: true } as const;
    const { predicate } = provenance(request, options, { context, materials: [], ...times });
    const { buildDefinition, runDetails } = predicate as Predicate;
    const { args, secrets } = buildDefinition.externalParameters.request;
    assert.deepEqual(args, { target: 'last', 'build-arg:TOKEN': 'in-an-argument', 'label:l': 'v' });
    assert.deepEqual(secrets, [{ id: 'id', optional: true }]);
    assert.deepEqual(runDetails.builder, { id: 'https://example.com/me' });
    assert.equal(runDetails.metadata['buildkit_reproducible'], true);
    assert.match(JSON.stringify(predicate), new RegExp(Buffer.from(context.dockerfile).toString('base64')));
    assert.doesNotMatch(JSON.stringify(predicate), /in-a-secret/);
  });

  test('tells what it was made of, without passwords', () => {
    const commit = 'a'.repeat(40);
    const materials = new Materials();
    materials.image('busybox', amd64, digestOf('manifest'));
    materials.download('https://me:password@example.com/f', digestOf('file'));
    const remote = 'https://me:password@example.com/repo.git';
    materials.repository(remote, commit);
    const facts = { context: { ...context, commit }, materials: materials.all, ...times };
    const { predicate } = provenance({ remote }, { mode: 'min' }, facts);
    const { buildDefinition } = predicate as Predicate;
    assert.deepEqual(buildDefinition.externalParameters.configSource, {
      uri: 'https://example.com/repo.git',
      digest: { sha1: commit },
      path: 'Dockerfile',
    });
    assert.deepEqual(buildDefinition.resolvedDependencies, [
      { uri: 'https://example.com/f', digest: { sha256: digestOf('file').slice(7) } },
      { uri: 'https://example.com/repo.git', digest: { sha1: commit } },
      {
        uri: 'pkg:docker/busybox@latest?platform=linux%2Famd64',
        digest: { sha256: digestOf('manifest').slice(7) },
      },
    ]);
  });
});
