import { EngineError } from '../../errors/index.ts';

/** A `--mount` of a RUN step, understood. */
export type StepMount =
  | { kind: 'bind'; target: string; source: string; from: string; writable: boolean }
  | {
      kind: 'cache';
      target: string;
      id: string;
      source: string;
      from: string;
      readOnly: boolean;
      sharing: 'shared' | 'private' | 'locked';
      mode: number;
      uid: number;
      gid: number;
    }
  | { kind: 'tmpfs'; target: string; sizeBytes: number | undefined }
  | { kind: 'ssh'; target: string; id: string; required: boolean; mode: number; uid: number; gid: number }
  | {
      kind: 'secret';
      target: string | undefined;
      environment: string | undefined;
      id: string;
      required: boolean;
      mode: number;
      uid: number;
      gid: number;
    };

const fieldsOf: Readonly<Record<string, readonly string[]>> = {
  bind: ['from', 'source', 'target', 'writable', 'readonly'],
  cache: ['id', 'from', 'source', 'target', 'readonly', 'writable', 'sharing', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
  secret: ['id', 'target', 'required', 'mode', 'uid', 'gid', 'env', 'source'],
  ssh: ['id', 'target', 'required', 'mode', 'uid', 'gid', 'source'],
};

const aliases: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  rw: 'writable',
  readwrite: 'writable',
  ro: 'readonly',
};

const MAX_MOUNT_CHARACTERS = 16 * 1024;

/** `type=cache,target=/x,ro` as names and values; fields in quotes may hold commas. */
export function parseMountFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  if (text.length > MAX_MOUNT_CHARACTERS) throw invalid('a mount of RUN is too long');
  for (const [, quoted, plain = ''] of text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    const field = quoted === undefined ? plain : quoted.replaceAll('""', '"');
    const equals = field.indexOf('=');
    const name = (equals === -1 ? field : field.slice(0, equals)).toLowerCase();
    fields.set(aliases[name] ?? name, equals === -1 ? 'true' : field.slice(equals + 1));
  }
  return fields;
}

/**
 * @param expand puts variables in
 * @throws {EngineError} `invalid-parameter`
 */
export function parseStepMount(text: string, expand: (text: string) => string): StepMount {
  const fields = new Map([...parseMountFields(text)].map(([name, value]) => [name, expand(value)]));
  const type = fields.get('type') ?? 'bind';
  const known = Object.hasOwn(fieldsOf, type) ? fieldsOf[type] : undefined;
  if (known === undefined) throw invalid(`unsupported mount type ${JSON.stringify(type)}`);
  for (const name of fields.keys()) {
    if (name !== 'type' && !known.includes(name)) {
      throw invalid(`unexpected key '${name}' for mount type '${type}'`);
    }
  }
  const field = (name: string): string => fields.get(name) ?? '';
  const target = field('target');
  if (target === '' && type !== 'secret' && type !== 'ssh')
    throw invalid(`target is required for mount type ${type}`);
  switch (type) {
    case 'bind':
      return {
        kind: 'bind',
        target,
        source: field('source') || '/',
        from: field('from'),
        writable: isTrue(fields, 'writable') || fields.get('readonly') === 'false',
      };
    case 'tmpfs':
      return { kind: 'tmpfs', target, sizeBytes: sizeBytes(field('size')) };
    case 'cache': {
      const sharing = field('sharing') || 'shared';
      if (sharing !== 'shared' && sharing !== 'private' && sharing !== 'locked') {
        throw invalid(`unsupported sharing value ${JSON.stringify(sharing)}`);
      }
      return {
        kind: 'cache',
        target,
        id: field('id') || target,
        source: field('source'),
        from: field('from'),
        readOnly: isTrue(fields, 'readonly'),
        sharing,
        mode: octal(field('mode'), 0o755),
        uid: number('uid', field('uid')),
        gid: number('gid', field('gid')),
      };
    }
    case 'ssh':
      return {
        kind: 'ssh',
        target,
        id: field('id') || field('source') || 'default',
        required: isTrue(fields, 'required'),
        mode: octal(field('mode'), 0o600),
        uid: number('uid', field('uid')),
        gid: number('gid', field('gid')),
      };
    default: {
      const id = field('id') || field('source') || target.split('/').at(-1) || '';
      if (id === '') throw invalid('a secret mount needs an id or a target');
      const environment = fields.get('env');
      return {
        kind: 'secret',
        target: target === '' ? (environment === undefined ? `/run/secrets/${id}` : undefined) : target,
        environment,
        id,
        required: isTrue(fields, 'required'),
        mode: octal(field('mode'), 0o400),
        uid: number('uid', field('uid')),
        gid: number('gid', field('gid')),
      };
    }
  }
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}

function isTrue(fields: ReadonlyMap<string, string>, name: string): boolean {
  const value = fields.get(name);
  if (value === undefined) return false;
  if (['true', '1'].includes(value.toLowerCase())) return true;
  if (['false', '0'].includes(value.toLowerCase())) return false;
  throw invalid(`invalid value for ${name}: ${value}`);
}

function octal(text: string, otherwise: number): number {
  if (text === '') return otherwise;
  if (!/^[0-7]{1,4}$/.test(text)) throw invalid(`invalid value ${text} for mode`);
  return parseInt(text, 8);
}

function number(name: string, text: string): number {
  if (text === '') return 0;
  if (!/^\d+$/.test(text)) throw invalid(`invalid value ${text} for ${name}`);
  return Number(text);
}

function sizeBytes(text: string): number | undefined {
  if (text === '') return undefined;
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  if (count === undefined) throw invalid(`invalid size: ${text}`);
  return Math.floor(Number(count) * 1024 ** (unit === '' ? 0 : 'kmgt'.indexOf(unit.toLowerCase()) + 1));
}
