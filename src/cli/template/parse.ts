import { syntaxError, tokenize, type Token } from './lex.ts';

/** An operand: what a command is made of. `chain` are the fields read from it, `.a.b`. */
export type Operand = { at: number; text: string } & (
  | { kind: 'dot' | 'nil' }
  | { kind: 'field'; chain: readonly string[] }
  | { kind: 'variable'; name: string; chain: readonly string[] }
  | { kind: 'function'; name: string }
  | { kind: 'literal'; value: string | number | boolean }
  | { kind: 'group'; pipeline: Pipeline; chain: readonly string[] }
);

export interface CommandNode {
  at: number;
  text: string;
  operands: readonly Operand[];
}

export interface Pipeline {
  at: number;
  text: string;
  declares: readonly string[];
  assign: boolean;
  commands: readonly CommandNode[];
}

export type TemplateNode = { at: number } & (
  | { kind: 'text'; text: string }
  | { kind: 'print'; pipeline: Pipeline }
  | {
      kind: 'if' | 'with' | 'range';
      pipeline: Pipeline;
      body: readonly TemplateNode[];
      otherwise: readonly TemplateNode[];
    }
  | { kind: 'break' | 'continue' }
  | { kind: 'template'; name: string; text: string; pipeline: Pipeline | null }
);

const keywords = new Set([
  'if',
  'else',
  'end',
  'range',
  'with',
  'define',
  'template',
  'block',
  'break',
  'continue',
]);

/** Parses a Go template. `functions` are the names that may be called. @throws {TemplateSyntaxError} */
export function parseTemplate(
  source: string,
  functions: ReadonlySet<string>,
): { nodes: TemplateNode[]; defined: Map<string, TemplateNode[]> } {
  return new Parser(source, functions).parse();
}

type Ending = 'end' | 'else' | 'eof';

class Parser {
  readonly #source: string;
  readonly #functions: ReadonlySet<string>;
  readonly #tokens: Token[];
  #at = 0;
  #rangeDepth = 0;
  readonly #variables = new Set(['$']);
  readonly #defined = new Map<string, TemplateNode[]>();

  constructor(source: string, functions: ReadonlySet<string>) {
    this.#source = source;
    this.#functions = functions;
    this.#tokens = tokenize(source);
  }

  #fail(message: string, token: Token = this.#peek()): Error {
    return syntaxError(this.#source, token.at, message);
  }

  #peek(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #next(): Token {
    const token = this.#peek();
    if (token.kind !== 'eof') this.#at++;
    return token;
  }

  #skipSpace(): Token {
    while (this.#peek().kind === 'space') this.#at++;
    return this.#peek();
  }

  parse(): { nodes: TemplateNode[]; defined: Map<string, TemplateNode[]> } {
    const [nodes, ending] = this.#list();
    if (ending !== 'eof') throw this.#fail(`unexpected {{${ending}}}`);
    return { nodes, defined: this.#defined };
  }

  /** Nodes up to `{{end}}`, `{{else}}` (its keyword taken, the rest of that action not) or the end. */
  #list(): [TemplateNode[], Ending] {
    const nodes: TemplateNode[] = [];
    for (;;) {
      const token = this.#next();
      if (token.kind === 'eof') return [nodes, 'eof'];
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: token.text, at: token.at });
        continue;
      }
      const first = this.#skipSpace();
      if (first.kind !== 'identifier' || !keywords.has(first.text)) {
        const pipeline = this.#pipeline('command');
        this.#close('command');
        nodes.push({ kind: 'print', pipeline, at: pipeline.at });
        continue;
      }
      this.#next();
      switch (first.text) {
        case 'end':
          this.#close('end');
          return [nodes, 'end'];
        case 'else':
          return [nodes, 'else'];
        case 'if':
        case 'with':
        case 'range':
          nodes.push(this.#control(first.text, first.at));
          break;
        case 'break':
        case 'continue':
          if (this.#rangeDepth === 0) throw this.#fail(`{{${first.text}}} outside {{range}}`, first);
          this.#close(first.text);
          nodes.push({ kind: first.text, at: first.at });
          break;
        case 'template':
          nodes.push(this.#template(first));
          break;
        default:
          this.#define(first);
      }
    }
  }

  #close(context: string): void {
    const token = this.#skipSpace();
    if (token.kind !== 'close') throw this.#unexpected(token, context);
    this.#next();
  }

  #unexpected(token: Token, context: string): Error {
    if (token.kind === 'eof') return this.#fail('unexpected EOF', token);
    return this.#fail(`unexpected ${JSON.stringify(token.text)} in ${context}`, token);
  }

  #control(kind: 'if' | 'with' | 'range', at: number): TemplateNode {
    const before = new Set(this.#variables);
    const pipeline = this.#pipeline(kind);
    this.#close(kind);
    if (kind === 'range') this.#rangeDepth++;
    const [body, ending] = this.#list();
    if (kind === 'range') this.#rangeDepth--;
    let otherwise: TemplateNode[] = [];
    if (ending === 'else') {
      const token = this.#skipSpace();
      if (token.kind === 'identifier' && token.text === kind && kind !== 'range') {
        this.#next();
        otherwise = [this.#control(kind, token.at)];
      } else {
        this.#close('else');
        const [rest, last] = this.#list();
        if (last !== 'end')
          throw this.#fail(last === 'eof' ? 'unexpected EOF' : 'expected end; found {{else}}');
        otherwise = rest;
      }
    } else if (ending === 'eof') throw this.#fail('unexpected EOF');
    this.#variables.clear();
    for (const name of before) this.#variables.add(name);
    return { kind, pipeline, body, otherwise, at };
  }

  #template(first: Token): TemplateNode {
    const token = this.#skipSpace();
    if (token.kind !== 'string') throw this.#unexpected(token, 'template clause');
    this.#next();
    const pipeline = this.#skipSpace().kind === 'close' ? null : this.#pipeline('template clause');
    const text = `{{template ${token.text}}}`;
    this.#close('template clause');
    return { kind: 'template', name: unquote(token.text), text, pipeline, at: first.at + 9 };
  }

  #define(first: Token): void {
    if (first.text !== 'define') throw this.#fail('{{block}} is not supported', first);
    const token = this.#skipSpace();
    if (token.kind !== 'string') throw this.#unexpected(token, 'define clause');
    this.#next();
    this.#close('define clause');
    const [body, ending] = this.#list();
    if (ending !== 'end') throw this.#fail('unexpected EOF');
    this.#defined.set(unquote(token.text), body);
  }

  #pipeline(context: string): Pipeline {
    const start = this.#skipSpace();
    const declares: string[] = [];
    let assign = false;
    const saved = this.#at;
    if (start.kind === 'variable') {
      const names = [this.#next().text];
      let token = this.#skipSpace();
      if (token.kind === 'comma' && context === 'range') {
        this.#next();
        names.push(this.#skipSpace().text);
        this.#next();
        token = this.#skipSpace();
      }
      if (token.kind === 'declare' || token.kind === 'assign') {
        this.#next();
        assign = token.kind === 'assign';
        declares.push(...names);
        if (assign) for (const name of names) this.#known(name, start);
      } else this.#at = saved;
    }
    const commands: CommandNode[] = [];
    for (;;) {
      const token = this.#skipSpace();
      if (token.kind === 'close' || token.kind === 'rparen') {
        if (commands.length === 0) throw this.#fail(`missing value for ${context}`, token);
        break;
      }
      if (commands.length > 0) {
        if (token.kind !== 'pipe') throw this.#unexpected(token, context);
        this.#next();
        if (['close', 'rparen'].includes(this.#skipSpace().kind))
          throw this.#fail(`missing value for ${context}`);
      }
      commands.push(this.#command(context));
    }
    if (!assign) for (const name of declares) this.#variables.add(name);
    const text = commands.map((command) => command.text).join(' | ');
    return { at: start.at, text, declares, assign, commands };
  }

  #command(context: string): CommandNode {
    const at = this.#skipSpace().at;
    const operands: Operand[] = [];
    for (;;) {
      const token = this.#skipSpace();
      if (['close', 'rparen', 'pipe', 'eof'].includes(token.kind)) break;
      operands.push(this.#operand(context));
      const after = this.#peek();
      if (!['space', 'close', 'rparen', 'pipe'].includes(after.kind))
        throw this.#unexpected(after, 'operand');
    }
    if (operands.length === 0) throw this.#unexpected(this.#peek(), context);
    return { at, operands, text: operands.map((operand) => operand.text).join(' ') };
  }

  #known(name: string, token: Token): void {
    if (!this.#variables.has(name)) throw this.#fail(`undefined variable ${JSON.stringify(name)}`, token);
  }

  /** The fields behind an operand. Go counts the position of a longer chain from its second link. */
  #chain(first: Token): { chain: string[]; text: string; at: number } {
    const chain: string[] = [];
    let text = '';
    let at = first.at;
    while (this.#peek().kind === 'field') {
      const token = this.#next();
      if (chain.length === 0) at = token.at;
      chain.push(token.text.slice(1));
      text += token.text;
    }
    return { chain, text, at };
  }

  #operand(context: string): Operand {
    const token = this.#next();
    switch (token.kind) {
      case 'dot':
        return { kind: 'dot', at: token.at, text: '.' };
      case 'field': {
        const more = this.#chain(token);
        return {
          kind: 'field',
          chain: [token.text.slice(1), ...more.chain],
          at: more.at,
          text: token.text + more.text,
        };
      }
      case 'variable': {
        this.#known(token.text, token);
        const more = this.#chain(token);
        return {
          kind: 'variable',
          name: token.text,
          chain: more.chain,
          at: more.at,
          text: token.text + more.text,
        };
      }
      case 'string':
        return { kind: 'literal', value: unquote(token.text), at: token.at, text: token.text };
      case 'char':
        return {
          kind: 'literal',
          value: unquote(`"${token.text.slice(1, -1)}"`).codePointAt(0) ?? 0,
          at: token.at,
          text: token.text,
        };
      case 'number':
        return {
          kind: 'literal',
          value: Number(token.text.replaceAll('_', '')),
          at: token.at,
          text: token.text,
        };
      case 'lparen': {
        const pipeline = this.#pipeline('parenthesized pipeline');
        const close = this.#next();
        if (close.kind !== 'rparen') throw this.#unexpected(close, 'parenthesized pipeline');
        const more = this.#chain(token);
        return {
          kind: 'group',
          pipeline,
          chain: more.chain,
          at: more.at,
          text: `(${pipeline.text})${more.text}`,
        };
      }
      case 'identifier':
        if (token.text === 'true' || token.text === 'false') {
          return { kind: 'literal', value: token.text === 'true', at: token.at, text: token.text };
        }
        if (token.text === 'nil') return { kind: 'nil', at: token.at, text: 'nil' };
        if (!this.#functions.has(token.text))
          throw this.#fail(`function ${JSON.stringify(token.text)} not defined`, token);
        return { kind: 'function', name: token.text, at: token.at, text: token.text };
      default:
        throw this.#unexpected(token, context);
    }
  }
}

/** The value of a Go string literal. */
export function unquote(literal: string): string {
  if (literal.startsWith('`')) return literal.slice(1, -1);
  return literal
    .slice(1, -1)
    .replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/g, (_, code: string) => {
      if (/^[xuU]./.test(code)) return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
      if (/^[0-7]{3}$/.test(code)) return String.fromCodePoint(Number.parseInt(code, 8));
      return { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' }[code] ?? code;
    });
}
