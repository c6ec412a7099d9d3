import type { Cli } from '../cli.ts';
import { StatusError } from '../errors.ts';
import { goJson, Struct, Template, type Value } from '../template/index.ts';
import { tabulate } from './tabwriter.ts';

/** How one kind of thing is listed: what templates can ask of it, and the tables that there are. */
export interface Listing<T> {
  /** Go's name of docker's type, for template errors: `*formatter.ContainerContext`. */
  typeName: string;
  /** Fields in the order of the names; a function value is a method of templates and not part of `json`. */
  fields: Readonly<Record<string, (item: T) => Value>>;
  headers: Readonly<Record<string, string>>;
  /** The template of the default table, without `table `. */
  table: string;
  /** Template for `--quiet`. */
  quiet?: string;
  /** Template for `--format raw`. */
  raw?: string;
}

export interface RenderOptions {
  format: string;
  quiet?: boolean;
  /** Run through the format first, so that a wrong template is told before anything is printed, even without items. */
  probe?: unknown;
}

class Row<T> extends Struct {
  readonly #item: T;
  readonly #listing: Listing<T>;

  constructor(item: T, listing: Listing<T>) {
    super();
    this.#item = item;
    this.#listing = listing;
  }

  get typeName(): string {
    return this.#listing.typeName;
  }

  field(name: string): { value: Value } | undefined {
    const get = Object.hasOwn(this.#listing.fields, name) ? this.#listing.fields[name] : undefined;
    return get === undefined ? undefined : { value: get(this.#item) };
  }

  values(): readonly Value[] {
    return Object.values(this.toJSON());
  }

  toJSON(): Record<string, unknown> {
    const entries = Object.keys(this.#listing.fields)
      .toSorted()
      .map((name) => [name, this.#listing.fields[name]?.(this.#item)] as const)
      .filter(([, value]) => typeof value !== 'function');
    return Object.fromEntries(entries);
  }
}

/** The first line of a table: each field gives its header; a method gives its argument. */
class Header extends Struct {
  readonly typeName = 'formatter.SubHeaderContext';
  readonly #headers: Readonly<Record<string, string>>;

  constructor(headers: Readonly<Record<string, string>>) {
    super();
    this.#headers = headers;
  }

  field(name: string): { value: Value } {
    if (name === 'Label')
      return { value: (label: Value) => String(label).split('.').at(-1)?.replace(/[-_]/g, ' ') };
    return { value: Object.hasOwn(this.#headers, name) ? this.#headers[name] : undefined };
  }

  values(): readonly Value[] {
    return Object.values(this.#headers);
  }

  toJSON(): unknown {
    return this.#headers;
  }
}

/** Escapes that a shell leaves alone inside single quotes. */
function unescape(format: string): string {
  return format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

function parsed(source: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw new StatusError(1, `failed to parse template: ${(error as Error).message}`);
  }
}

function run(render: () => string): string {
  try {
    return render();
  } catch (error) {
    throw new StatusError(1, `failed to execute template: ${(error as Error).message}`);
  }
}

/** Resolves `table`, `raw`, `json`, a template or `table TEMPLATE`. */
function resolveFormat<T>(
  listing: Listing<T>,
  { format, quiet }: RenderOptions,
): { template: string; table: boolean; json: boolean } {
  const trimmed = format.trim();
  if (trimmed === 'json') return { template: '{{json .}}', table: false, json: true };
  if (trimmed === '' || trimmed === 'table') {
    if (quiet && listing.quiet !== undefined) return { template: listing.quiet, table: false, json: false };
    return { template: listing.table, table: true, json: false };
  }
  if (trimmed === 'raw' && listing.raw !== undefined) {
    return { template: quiet ? `container_id: ${listing.quiet}` : listing.raw, table: false, json: false };
  }
  if (trimmed.startsWith('table ')) {
    if (quiet && listing.quiet !== undefined) return { template: listing.quiet, table: false, json: false };
    return { template: trimmed.slice(5).trim(), table: true, json: false };
  }
  return { template: format.replace(/^ +| +$/g, ''), table: false, json: false };
}

/** Prints a list of things as the format says. */
export function render<T>(cli: Cli, listing: Listing<T>, items: readonly T[], options: RenderOptions): void {
  if (options.probe !== undefined) {
    const probe = parsed(unescape(options.format));
    run(() => probe.run(new Row(options.probe as T, listing)));
  }
  const format = resolveFormat(listing, options);
  const template = parsed(unescape(format.template));
  if (format.json) {
    cli.out(items.map((item) => `${goJson(new Row(item, listing))}\n`).join(''));
    return;
  }
  const rows = items.map((item) => `${run(() => template.run(new Row(item, listing)))}\n`);
  if (!format.table) {
    cli.out(rows.join(''));
    return;
  }
  const header = `${run(() => template.runHeader(new Header(listing.headers)))}\n`;
  cli.out(tabulate(header + rows.join('')));
}

/** Things as templates see them, for one that shows several lists. */
export function rowsOf<T>(listing: Listing<T>, items: readonly T[]): Value[] {
  return items.map((item) => new Row(item, listing));
}

/** Prints one thing with a template; '' if the format is not one. */
export function renderTemplate(format: string, value: Value): string {
  const source = format.trim() === 'json' ? '{{json .}}' : unescape(format);
  let template: Template;
  try {
    template = new Template(source);
  } catch (error) {
    throw new StatusError(64, `template parsing error: ${(error as Error).message}`);
  }
  try {
    return `${template.run(value)}\n`;
  } catch (error) {
    throw new StatusError(1, (error as Error).message);
  }
}

/** The part of the fields that a template uses: to ask the engine only for what is shown. */
export function usesField(format: string, field: string): boolean {
  return new RegExp(`\\.${field}\\b`).test(format);
}
