import { execute } from './execute.ts';
import { functions, type TemplateFunction } from './functions.ts';
import { parseTemplate } from './parse.ts';
import type { Value } from './value.ts';

export { TemplateRunError } from './execute.ts';
export { TemplateSyntaxError } from './lex.ts';
export { goJson, keepOrder, show, Struct, type Method, type Value } from './value.ts';

const names = new Set(functions.keys());

/** Functions that change a value hand headers through unchanged; `json` does too. */
const headerFunctions = new Map<string, TemplateFunction>([
  ['json', { min: 1, max: 1, call: (value) => value }],
  ['split', { min: 2, max: 2, call: (value) => value }],
  ['join', { min: 2, max: 2, call: (value) => value }],
  ['title', { min: 1, max: 1, call: (value) => value }],
  ['lower', { min: 1, max: 1, call: (value) => value }],
  ['upper', { min: 1, max: 1, call: (value) => value }],
  ['truncate', { min: 2, max: 2, call: (value) => value }],
]);

/** A Go template, parsed once and run many times. */
export class Template {
  readonly #source: string;
  readonly #parsed: ReturnType<typeof parseTemplate>;

  /** @throws {TemplateSyntaxError} */
  constructor(source: string) {
    this.#source = source;
    this.#parsed = parseTemplate(source, names);
  }

  /** @throws {TemplateRunError} */
  run(value: Value): string {
    return execute(this.#parsed.nodes, value, { source: this.#source, defined: this.#parsed.defined });
  }

  /** Runs the template on a table's headers. */
  runHeader(headers: Value): string {
    const { nodes, defined } = this.#parsed;
    return execute(nodes, headers, { source: this.#source, defined, overrides: headerFunctions });
  }
}
