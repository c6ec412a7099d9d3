/**
 * Programs and libraries made for Docker, each with a script beside this file that prints a transcript. What they print with
 * dockerd is in expected.json, recorded by record.ts. They are looked for on the machine and in the directory that install.sh
 * fills.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { baseImage } from '../cli/run-case.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const installed = fileURLToPath(new URL('../../../.setup/clients', import.meta.url));
const collections = `${installed}/ansible/usr/lib/python3/dist-packages`;

export interface Client {
  title: string;
  argv: string[];
  environment?: Record<string, string>;
  /** Exits with 0 where the client is installed. */
  probe: string;
}

const debianPython = '/usr/bin/python3';
const newestPython = `${installed}/venv/bin/python`;
const python = (title: string, interpreter: string, script: string, version?: string): Client => ({
  title,
  argv: [interpreter, script],
  probe: `${interpreter} -c 'import docker'`,
  ...(version === undefined ? {} : { environment: { DOCKER_API_VERSION: version } }),
});
const cli = (version: string): Client => ({
  title: `docker client, API ${version}`,
  argv: ['sh', 'docker-cli.sh'],
  probe: 'command -v docker',
  environment: { DOCKER_API_VERSION: version },
});
const node = (title: string, script: string, library: string): Client => ({
  title,
  argv: [process.execPath, script],
  probe: `test -d ${installed}/node_modules/${library}`,
  environment: { TESTCONTAINERS_RYUK_DISABLED: 'true' },
});

export const clients: Client[] = [
  python('docker-py of Debian', debianPython, 'docker-py.py'),
  python('docker-py, newest', newestPython, 'docker-py.py'),
  python('docker-py, newest, API 1.40', newestPython, 'docker-py.py', '1.40'),
  python('docker-py, newest, API 1.30', newestPython, 'docker-py-old.py', '1.30'),
  python('docker-py, newest, API 1.24', newestPython, 'docker-py-old.py', '1.24'),
  cli('1.40'),
  cli('1.30'),
  cli('1.24'),
  {
    title: 'docker-compose 1',
    argv: ['sh', 'compose.sh'],
    probe: "docker-compose version --short | grep -q '^1[.]'",
  },
  {
    title: 'ansible',
    argv: ['sh', 'ansible.sh'],
    probe: `command -v ansible-playbook && test -d ${collections}/ansible_collections/community/docker`,
  },
  node('dockerode', 'dockerode.mjs', 'dockerode'),
  node('testcontainers', 'testcontainers.mjs', 'testcontainers'),
  {
    title: 'builds by docker and docker-compose 1',
    argv: ['sh', 'build.sh'],
    probe: "command -v docker && docker-compose version --short | grep -q '^1[.]'",
  },
  node('builds by dockerode and testcontainers', 'build.mjs', 'testcontainers'),
];

export const isInstalled = (client: Client): boolean =>
  spawnSync('sh', ['-c', client.probe], { stdio: 'ignore' }).status === 0;

/** The lines that a client's script prints, with an error's last lines at the end. */
export function transcript(client: Client, host: string): string[] {
  const work = mkdtempSync(`${tmpdir()}/coracle-client-`);
  const prefix = `cl${process.pid.toString(36)}${Math.floor(performance.now()).toString(36)}`;
  const environment = {
    PATH: process.env['PATH'],
    HOME: work,
    WORK: work,
    DOCKER_HOST: host,
    DOCKER_CLI_HINTS: 'false',
    LC_ALL: 'C.UTF-8',
    PYTHONWARNINGS: 'ignore',
    PYTHONDONTWRITEBYTECODE: '1',
    P: prefix,
    IMG: baseImage,
    CLIENT_MODULES: installed,
    CLIENT_ANSIBLE: existsSync(collections) ? collections : '',
    ...client.environment,
  };
  try {
    const [command = '', ...argv] = client.argv;
    const result = spawnSync(command, argv, {
      cwd: here,
      env: environment,
      encoding: 'utf8',
      timeout: 150_000,
      input: '',
    });
    const lines = result.stdout.split('\n').filter((line) => line !== '');
    if (result.status !== 0)
      lines.push(`exit ${result.status}`, ...result.stderr.trim().split('\n').slice(-8));
    return lines;
  } finally {
    cleanUp(prefix, environment);
    rmSync(work, { recursive: true, force: true });
  }
}

/** What a client that failed half-way left behind. */
function cleanUp(prefix: string, env: NodeJS.ProcessEnv): void {
  const script = `
    docker ps -aq --filter name=${prefix} | xargs -r docker rm -fv
    docker network ls -q --filter name=${prefix} | xargs -r docker network rm
    docker volume ls -q --filter name=${prefix} | xargs -r docker volume rm
    docker images --format '{{.Repository}}:{{.Tag}}' | grep '^${prefix}' | xargs -r docker rmi -f`;
  const { DOCKER_API_VERSION: _version, ...environment } = env;
  spawnSync('sh', ['-c', script], { env: environment, timeout: 60_000 });
}
