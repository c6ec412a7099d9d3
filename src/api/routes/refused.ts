import { EngineError } from '../../errors/index.ts';
import { route, type Method, type Route } from '../route.ts';
import { notYet, refuse } from './refuse.ts';

const noManager =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

/** Swarm's endpoints, answered as dockerd answers them where Swarm is not active. */
const swarmOperations: readonly (readonly [Method, string, string, number?])[] = [
  ['GET', '/swarm', 'SwarmInspect'],
  ['POST', '/swarm/update', 'SwarmUpdate'],
  ['GET', '/swarm/unlockkey', 'SwarmUnlockkey', 25],
  ['GET', '/nodes', 'NodeList'],
  ['GET', '/nodes/{id}', 'NodeInspect'],
  ['DELETE', '/nodes/{id}', 'NodeDelete'],
  ['POST', '/nodes/{id}/update', 'NodeUpdate'],
  ['GET', '/services', 'ServiceList'],
  ['POST', '/services/create', 'ServiceCreate'],
  ['GET', '/services/{id}', 'ServiceInspect'],
  ['DELETE', '/services/{id}', 'ServiceDelete'],
  ['POST', '/services/{id}/update', 'ServiceUpdate'],
  ['GET', '/services/{id}/logs', 'ServiceLogs', 25],
  ['GET', '/tasks', 'TaskList'],
  ['GET', '/tasks/{id}', 'TaskInspect'],
  ['GET', '/tasks/{id}/logs', 'TaskLogs', 29],
  ['GET', '/secrets', 'SecretList', 25],
  ['POST', '/secrets/create', 'SecretCreate', 25],
  ['GET', '/secrets/{id}', 'SecretInspect', 25],
  ['DELETE', '/secrets/{id}', 'SecretDelete', 25],
  ['POST', '/secrets/{id}/update', 'SecretUpdate', 26],
  ['GET', '/configs', 'ConfigList', 30],
  ['POST', '/configs/create', 'ConfigCreate', 30],
  ['GET', '/configs/{id}', 'ConfigInspect', 30],
  ['DELETE', '/configs/{id}', 'ConfigDelete', 30],
  ['POST', '/configs/{id}/update', 'ConfigUpdate', 30],
];

const pluginOperations: readonly (readonly [Method, string, string])[] = [
  ['GET', '/plugins/privileges', 'GetPluginPrivileges'],
  ['POST', '/plugins/pull', 'PluginPull'],
  ['POST', '/plugins/create', 'PluginCreate'],
];

const namedPluginOperations: readonly (readonly [Method, string, string])[] = [
  ['GET', '/plugins/{name}/json', 'PluginInspect'],
  ['DELETE', '/plugins/{name}', 'PluginDelete'],
  ['POST', '/plugins/{name}/enable', 'PluginEnable'],
  ['POST', '/plugins/{name}/disable', 'PluginDisable'],
  ['POST', '/plugins/{name}/upgrade', 'PluginUpgrade'],
  ['POST', '/plugins/{name}/push', 'PluginPush'],
  ['POST', '/plugins/{name}/set', 'PluginSet'],
];

/** Operations that this engine does not have, each with the error its clients know how to show. */
export function refusedRoutes(): Route[] {
  const swarm = swarmOperations.map(([method, path, operation, since]) =>
    refuse(
      method,
      path,
      operation,
      'no Swarm: answers as a node outside one',
      () => {
        throw new EngineError('unavailable', noManager);
      },
      since,
    ),
  );
  const plugins = pluginOperations.map(([method, path, operation]) =>
    refuse(method, path, operation, 'no plugins', notYet('plugins are')),
  );
  const namedPlugins = namedPluginOperations.map(([method, path, operation]) =>
    route({
      method,
      path,
      operation,
      coverage: 'refused',
      note: 'no plugins: none is ever found',
      handle(exchange) {
        const name = exchange.params['name'] ?? '';
        throw new EngineError('not-found', `plugin ${JSON.stringify(name)} not found`);
      },
    }),
  );
  const outsideSwarm = (): never => {
    throw new EngineError('unavailable', 'This node is not part of a swarm');
  };
  return [
    ...swarm,
    refuse('POST', '/swarm/init', 'SwarmInit', 'no Swarm', notYet('Swarm mode is')),
    refuse('POST', '/swarm/join', 'SwarmJoin', 'no Swarm', notYet('Swarm mode is')),
    refuse('POST', '/swarm/leave', 'SwarmLeave', 'no Swarm', outsideSwarm),
    refuse('POST', '/swarm/unlock', 'SwarmUnlock', 'no Swarm', outsideSwarm, 25),
    route({
      method: 'GET',
      path: '/plugins',
      operation: 'PluginList',
      note: 'always empty',
      handle: (exchange) => exchange.json(200, []),
    }),
    ...plugins,
    ...namedPlugins,
    refuse('POST', '/session', 'Session', 'no BuildKit', notYet('sessions are'), 31),
    refuse('POST', '/grpc', '(GRPC)', 'no BuildKit', notYet('BuildKit over gRPC is'), 40),
    refuse(
      'GET',
      '/containers/{id}/checkpoints',
      '(CheckpointList)',
      'no checkpoints',
      notYet('checkpoints are'),
      25,
    ),
    refuse(
      'POST',
      '/containers/{id}/checkpoints',
      '(CheckpointCreate)',
      'no checkpoints',
      notYet('checkpoints are'),
      25,
    ),
    refuse(
      'DELETE',
      '/containers/{id}/checkpoints/{checkpoint}',
      '(CheckpointDelete)',
      'no checkpoints',
      notYet('checkpoints are'),
      25,
    ),
  ];
}
