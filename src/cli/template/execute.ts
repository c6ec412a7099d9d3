import { functions as builtins, type TemplateFunction } from './functions.ts';
import type { CommandNode, Operand, Pipeline, TemplateNode } from './parse.ts';
import { isMap, show, Struct, truth, typeName, type Method, type Value } from './value.ts';

/** The template ran into something it cannot do; the message says where, as Go's does. */
export class TemplateRunError extends Error {}

interface Place {
  at: number;
  text: string;
}

class Jump {
  readonly kind: 'break' | 'continue';

  constructor(kind: 'break' | 'continue') {
    this.kind = kind;
  }
}

export interface ExecuteOptions {
  source: string;
  defined: ReadonlyMap<string, readonly TemplateNode[]>;
  /** Replaces functions: a table's header line is the template run with functions that only hand through. */
  overrides?: ReadonlyMap<string, TemplateFunction>;
}

/** Runs parsed nodes on a value. */
export function execute(nodes: readonly TemplateNode[], root: Value, options: ExecuteOptions): string {
  return new Executor(root, options).run(nodes);
}

class Executor {
  readonly #root: Value;
  readonly #options: ExecuteOptions;
  #out = '';
  #scope: { name: string; value: Value }[];

  constructor(root: Value, options: ExecuteOptions) {
    this.#root = root;
    this.#options = options;
    this.#scope = [{ name: '$', value: root }];
  }

  run(nodes: readonly TemplateNode[]): string {
    this.#walk(nodes, this.#root);
    return this.#out;
  }

  #fail(place: Place, message: string): TemplateRunError {
    const before = this.#options.source.slice(0, place.at);
    const line = before.split('\n').length;
    const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1));
    return new TemplateRunError(`template: :${line}:${column}: executing "" at <${place.text}>: ${message}`);
  }

  #walk(nodes: readonly TemplateNode[], dot: Value): void {
    for (const node of nodes) {
      switch (node.kind) {
        case 'text':
          this.#out += node.text;
          break;
        case 'print': {
          const value = this.#pipeline(node.pipeline, dot);
          if (node.pipeline.declares.length === 0)
            this.#out += value === undefined ? '<no value>' : show(value);
          break;
        }
        case 'if':
        case 'with': {
          const depth = this.#scope.length;
          const value = this.#pipeline(node.pipeline, dot);
          if (truth(value)) this.#walk(node.body, node.kind === 'with' ? value : dot);
          else this.#walk(node.otherwise, dot);
          this.#scope.length = depth;
          break;
        }
        case 'range':
          this.#range(node, dot);
          break;
        case 'break':
        case 'continue':
          throw new Jump(node.kind);
        case 'template': {
          const body = this.#options.defined.get(node.name);
          if (body === undefined) throw this.#fail(node, `template ${JSON.stringify(node.name)} not defined`);
          const argument = node.pipeline === null ? null : this.#pipeline(node.pipeline, dot);
          const scope = this.#scope;
          this.#scope = [{ name: '$', value: argument }];
          this.#walk(body, argument);
          this.#scope = scope;
          break;
        }
      }
    }
  }

  #range(node: Extract<TemplateNode, { kind: 'range' | 'if' | 'with' }>, dot: Value): void {
    const depth = this.#scope.length;
    const { pipeline } = node;
    const value = this.#evaluate(pipeline, dot);
    let entries: [Value, Value][];
    if (Array.isArray(value)) entries = value.map((item: Value, i) => [i, item]);
    else if (isMap(value))
      entries = Object.keys(value)
        .toSorted()
        .map((key) => [key, value[key]]);
    else if (typeof value === 'number' && Number.isInteger(value))
      entries = Array.from({ length: value }, (_, i) => [i, i]);
    else if (value === null || value === undefined) entries = [];
    else {
      const shown = value instanceof Struct || typeof value === 'string' ? '' : show(value);
      throw this.#fail(pipeline, `range can't iterate over ${typeof value === 'string' ? value : shown}`);
    }
    if (entries.length === 0) this.#walk(node.otherwise, dot);
    const [first, second] = pipeline.declares;
    for (const [key, item] of entries) {
      if (first !== undefined) this.#set(first, second === undefined ? item : key, pipeline.assign);
      if (second !== undefined) this.#set(second, item, pipeline.assign);
      try {
        this.#walk(node.body, item);
      } catch (error) {
        if (!(error instanceof Jump)) throw error;
        if (error.kind === 'break') break;
      } finally {
        this.#scope.length = depth;
      }
    }
    this.#scope.length = depth;
  }

  #set(name: string, value: Value, assign: boolean): void {
    const known = assign ? this.#scope.findLast((variable) => variable.name === name) : undefined;
    if (known) known.value = value;
    else this.#scope.push({ name, value });
  }

  #pipeline(pipeline: Pipeline, dot: Value): Value {
    const value = this.#evaluate(pipeline, dot);
    for (const name of pipeline.declares) this.#set(name, value, pipeline.assign);
    return value;
  }

  #evaluate(pipeline: Pipeline, dot: Value): Value {
    let value: Value;
    pipeline.commands.forEach((command, i) => {
      value = this.#command(command, dot, i === 0 ? [] : [value]);
    });
    return value;
  }

  #command(command: CommandNode, dot: Value, piped: Value[]): Value {
    const [first, ...rest] = command.operands as [Operand, ...Operand[]];
    switch (first.kind) {
      case 'function': {
        if (first.name === 'and' || first.name === 'or') return this.#lazy(first.name, rest, dot, piped);
        const args = [...rest.map((operand) => this.#operand(operand, dot)), ...piped];
        return this.#call(first.name, args, command);
      }
      case 'field':
        return this.#fields(dot, first.chain, first, [
          ...rest.map((operand) => this.#operand(operand, dot)),
          ...piped,
        ]);
      case 'variable':
      case 'group': {
        const args = [...rest.map((operand) => this.#operand(operand, dot)), ...piped];
        return this.#chained(first, dot, args);
      }
      case 'nil':
        throw this.#fail(first, 'nil is not a command');
      default:
        if (rest.length > 0 || piped.length > 0)
          throw this.#fail(first, `can't give argument to non-function ${first.text}`);
        return this.#operand(first, dot);
    }
  }

  #lazy(name: 'and' | 'or', operands: readonly Operand[], dot: Value, piped: Value[]): Value {
    let value: Value;
    for (const operand of operands) {
      value = this.#operand(operand, dot);
      if (truth(value) === (name === 'or')) return value;
    }
    return piped.length > 0 ? piped[0] : value;
  }

  #call(name: string, args: Value[], place: Place): Value {
    const called = this.#options.overrides?.get(name) ?? builtins.get(name);
    if (called === undefined) throw this.#fail(place, `${JSON.stringify(name)} is not a defined function`);
    if (args.length < called.min || args.length > called.max) {
      const wanted = called.max === Infinity ? `at least ${called.min}` : String(called.min);
      throw this.#fail(
        { at: place.at, text: name },
        `wrong number of args for ${name}: want ${wanted} got ${args.length}`,
      );
    }
    try {
      return called.call(...args);
    } catch (error) {
      throw this.#fail(place, `error calling ${name}: ${(error as Error).message}`);
    }
  }

  #chained(operand: Extract<Operand, { kind: 'variable' | 'group' }>, dot: Value, args: Value[]): Value {
    const value =
      operand.kind === 'group'
        ? this.#pipeline(operand.pipeline, dot)
        : this.#scope.findLast((variable) => variable.name === operand.name)?.value;
    if (operand.chain.length === 0) {
      if (args.length > 0) throw this.#fail(operand, `can't give argument to non-function ${operand.text}`);
      return value;
    }
    return this.#fields(value, operand.chain, operand, args);
  }

  #operand(operand: Operand, dot: Value): Value {
    switch (operand.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return null;
      case 'literal':
        return operand.value;
      case 'field':
        return this.#fields(dot, operand.chain, operand, []);
      case 'variable':
      case 'group':
        return this.#chained(operand, dot, []);
      case 'function':
        return this.#call(operand.name, [], operand);
    }
  }

  #fields(start: Value, chain: readonly string[], place: Place, args: Value[]): Value {
    let value = start;
    chain.forEach((name, i) => {
      const owner = value;
      value = this.#field(value, name, place, i === chain.length - 1 ? args : []);
      const missing = owner instanceof Struct && i < chain.length - 1 ? owner.missing?.(name) : undefined;
      if (value === null && missing !== undefined) throw this.#fail(place, missing);
    });
    return value;
  }

  #field(value: Value, name: string, place: Place, args: Value[]): Value {
    if (value === undefined || value === null) {
      throw this.#fail(place, `nil data; no entry for key ${JSON.stringify(name)}`);
    }
    if (value instanceof Struct) {
      const found = value.field(name);
      if (found === undefined)
        throw this.#fail(
          place,
          value.missing?.(name) ?? `can't evaluate field ${name} in type ${value.typeName}`,
        );
      if (typeof found.value !== 'function') return found.value;
      try {
        return (found.value as Method)(...args);
      } catch (error) {
        throw this.#fail(place, `error calling ${name}: ${(error as Error).message}`);
      }
    }
    if (!isMap(value)) throw this.#fail(place, `can't evaluate field ${name} in type ${typeName(value)}`);
    return Object.hasOwn(value, name) ? value[name] : undefined;
  }
}
