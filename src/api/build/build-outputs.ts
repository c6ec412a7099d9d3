import type { Annotation, ImageExport, ProvenanceOptions } from '../../builder/index.ts';
import { EngineError } from '../../errors/index.ts';

/** One of `outputs`, as Docker's API has it: an exporter of BuildKit and its attributes. */
interface Output {
  Type: string;
  Attrs: Readonly<Record<string, string>>;
}

type Form = NonNullable<ImageExport['form']>;

/** Exporters whose result stays in the engine or goes to a registry; what others write is the client's. */
const exporters = ['image', 'moby', 'docker', 'oci', 'registry'];

/** Attributes that would make something else of the image than there is here. */
const unknown = ['push-by-digest', 'oci-artifact', 'attestation-inline', 'source-date-epoch'];

/** `outputs`. @throws {EngineError} `invalid-parameter`, `not-implemented` */
export function readOutputs(text: string): ImageExport[] {
  if (['', 'null'].includes(text)) return [];
  let outputs: unknown;
  try {
    outputs = JSON.parse(text);
  } catch (error) {
    throw invalid(`invalid outputs specified: ${(error as Error).message}`);
  }
  if (!Array.isArray(outputs)) throw invalid('invalid outputs specified: it is not a list');
  return (outputs as unknown[]).flatMap((item) => {
    const output = readOutput(item);
    return output.Type === 'cacheonly' ? [] : [imageExport(output)];
  });
}

function readOutput(value: unknown): Output {
  const { Type, Attrs } = (value ?? {}) as Record<string, unknown>;
  const attributes = Object.entries((Attrs ?? {}) as Record<string, unknown>);
  if (typeof Type !== 'string' || attributes.some(([, text]) => typeof text !== 'string')) {
    throw invalid('invalid outputs specified: an output is a Type and Attrs');
  }
  return { Type, Attrs: Object.fromEntries(attributes) as Record<string, string> };
}

function imageExport({ Type, Attrs }: Output): ImageExport {
  if (['local', 'tar'].includes(Type)) {
    throw new EngineError('not-implemented', `exporter ${JSON.stringify(Type)} writes files of the client`);
  }
  if (!exporters.includes(Type)) throw invalid(`exporter ${JSON.stringify(Type)} could not be found`);
  const names = (Attrs['name'] ?? '').split(',').filter((name) => name !== '');
  const push = Type === 'registry' || isOn(Attrs, 'push') === true;
  if (push && names.length === 0) throw invalid('tag is needed when pushing to registry');
  const refused = unknown.find((name) => Attrs[name] !== undefined && Attrs[name] !== 'false');
  if (refused !== undefined || isOn(Attrs, 'store') === false) {
    const option = refused ?? 'store=false';
    throw new EngineError('not-implemented', `exporter option ${JSON.stringify(option)} is not supported`);
  }
  const form = readForm(Attrs);
  const annotations = Object.entries(Attrs).flatMap(([name, value]) => readAnnotation(name, value) ?? []);
  return { names, push, annotations, ...(Object.keys(form).length === 0 ? {} : { form }) };
}

function readForm(attributes: Output['Attrs']): Partial<Form> {
  const form: Partial<Form> = {};
  const compression = attributes['compression'];
  if (compression === 'uncompressed' || compression === 'gzip' || compression === 'zstd') {
    form.compression = compression;
  } else if (compression !== undefined) throw invalid(`unsupported compression type ${compression}`);
  const level = attributes['compression-level'];
  if (level !== undefined) {
    const highest = compression === 'zstd' ? 22 : 9;
    if (!/^\d{1,2}$/.test(level)) {
      throw invalid(`non-integer value ${level} specified for compression-level`);
    }
    if (Number(level) > highest) throw invalid(`compression-level ${level} is more than ${highest}`);
    form.compressionLevel = Number(level);
  }
  const isForced = isOn(attributes, 'force-compression');
  if (isForced !== undefined) form.forceCompression = isForced;
  const isOci = isOn(attributes, 'oci-mediatypes');
  if (isOci !== undefined) form.mediaTypes = isOci ? 'oci' : 'docker';
  return form;
}

/** `annotation.KEY`, `annotation-index.KEY`, `annotation-manifest[linux/amd64].KEY`. */
function readAnnotation(name: string, value: string): Annotation | undefined {
  const found = /^annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)$/.exec(name);
  if (found === null) return undefined;
  const [, kind = 'manifest', platform, key = ''] = found;
  switch (kind) {
    case 'manifest':
    case 'manifest-descriptor':
    case 'index':
    case 'index-descriptor':
      return { kind, key, value, ...(platform === undefined ? {} : { platform }) };
    default:
      throw invalid(`unrecognized annotation type ${kind}`);
  }
}

/** Undefined when it is not given; given without a value it is on. */
function isOn(attributes: Output['Attrs'], name: string): boolean | undefined {
  const text = attributes[name]?.toLowerCase();
  if (text === undefined) return undefined;
  if (['', '1', 't', 'true'].includes(text)) return true;
  if (['0', 'f', 'false'].includes(text)) return false;
  throw invalid(`non-bool value specified for ${name}`);
}

/** `mode=max,builder-id=URI,reproducible=true`; '' for none. @throws {EngineError} `invalid-parameter` */
export function readProvenance(text: string): ProvenanceOptions | undefined {
  if (text === '') return undefined;
  const fields = Object.fromEntries(text.split(',').map((field) => field.split(/=(.*)/s))) as Record<
    string,
    string
  >;
  const { mode = 'max', version = 'v1' } = fields;
  if (mode !== 'min' && mode !== 'max') throw invalid(`invalid mode ${JSON.stringify(mode)}`);
  if (version !== 'v1') throw invalid(`invalid provenance SLSA version: ${version}`);
  const builderId = fields['builder-id'];
  return {
    mode,
    isReproducible: isOn(fields, 'reproducible') === true,
    ...(builderId === undefined ? {} : { builderId }),
  };
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-parameter', message);
}
