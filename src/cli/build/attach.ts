import { parseCsv } from '../opts/csv.ts';

const annotationTypes = ['manifest', 'manifest-descriptor', 'index', 'index-descriptor'];

/**
 * `--annotation KEY=VALUE`, `manifest[linux/amd64],index:KEY=VALUE`, as attributes of an exporter.
 * @throws {Error} with buildx's texts
 */
export function annotationAttributes(values: readonly string[]): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const given of values) {
    const equals = given.indexOf('=');
    if (equals === -1) throw new Error(`invalid annotation ${JSON.stringify(given)}, expected key=value`);
    const value = given.slice(equals + 1);
    const [types, ...key] = given.slice(0, equals).split(':');
    if (types === undefined || key.length === 0) {
      attributes.set(`annotation.${types ?? ''}`, value);
      continue;
    }
    for (const one of types.split(',')) {
      const [, type = '', platform = ''] = /^([a-z-]+)(\[[A-Za-z0-9_/-]+\])?$/.exec(one) ?? [];
      if (type === '') {
        const expected = 'expected type and optional platform in square brackets';
        throw new Error(`invalid annotation type ${JSON.stringify(one)}, ${expected}`);
      }
      if (!annotationTypes.includes(type)) throw new Error(`unknown annotation type ${JSON.stringify(type)}`);
      attributes.set(`annotation-${type}${platform}.${key.join(':')}`, value);
    }
  }
  return attributes;
}

/**
 * `--attest`, `--provenance` and `--sbom`: the attributes of the provenance that is asked for, undefined for none.
 * @throws {Error} with buildx's texts, and for what the engine cannot state
 */
export function provenanceAttributes(given: {
  attest: readonly string[];
  provenance: string;
  sbom: string;
}): string | undefined {
  const all = [
    ...given.attest,
    ...shortForm('provenance', given.provenance),
    ...shortForm('sbom', given.sbom),
  ];
  let provenance: string | undefined;
  for (const text of all) {
    const fields = parseCsv(text).map((field) => {
      const [name = '', value] = field.split(/=(.*)/s);
      if (value === undefined) throw new Error(`invalid value ${field}`);
      return [name.trim().toLowerCase(), value] as const;
    });
    const { type, disabled = 'false', ...attributes } = Object.fromEntries(fields) as Record<string, string>;
    if (type === undefined || type === '') throw new Error('attestation type not specified');
    const isOff = ['true', '1'].includes(disabled);
    if (type === 'provenance') {
      const told = Object.entries({ mode: 'max', ...attributes }).map(([name, value]) => `${name}=${value}`);
      provenance = isOff ? undefined : told.join(',');
    } else if (!isOff) {
      const why = type === 'sbom' ? 'no scanner of packages is run' : 'only provenance is made';
      throw new Error(`Attestation of type ${type} is not supported by this engine: ${why}`);
    }
  }
  return provenance;
}

/** `--provenance=true` and `--provenance=mode=min` as `--attest` has them. */
function shortForm(type: string, value: string): string[] {
  if (value === '') return [];
  const lower = value.toLowerCase();
  if (['true', '1', 't'].includes(lower)) return [`type=${type}`];
  if (['false', '0', 'f'].includes(lower)) return [`type=${type},disabled=true`];
  return [`type=${type},${value}`];
}
