import { exactArgs, anyArgs, type Command, type Node } from '../command.ts';
import { program } from '../program.ts';
import type { Cli } from '../cli.ts';

const scripts: Readonly<Record<string, string>> = {
  bash: `_${program}() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(${program} __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _${program} ${program}
`,
  zsh: `#compdef ${program}
_${program}() {
  local -a words_found
  words_found=("\${(@f)$(${program} __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a words_found || _files
}
compdef _${program} ${program}
`,
  fish: `complete -c ${program} -f -a '(${program} __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
};

export const completion: Command = {
  synopsis: 'bash|zsh|fish',
  flags: [],
  arity: exactArgs(1),
  run: async (cli, { args }) => {
    const script = scripts[args[0] ?? ''];
    if (script === undefined) throw new Error(`unsupported shell type ${JSON.stringify(args[0])}`);
    cli.out(script);
  },
};

/** What names the last word of a command may be: things of this kind, asked from the engine. */
const arguments_: readonly [RegExp, 'containers' | 'all-containers' | 'images' | 'volumes' | 'networks'][] = [
  [/^(container )?(attach|exec|kill|logs|pause|port|stop|top|unpause|stats|wait)$/, 'containers'],
  [/^(container )?(rm|start|restart|rename|inspect|commit|cp|diff|export|update)$/, 'all-containers'],
  [
    /^(run|create|rmi|save|push|history|tag|image (rm|inspect|save|push|history|tag)|container (run|create))$/,
    'images',
  ],
  [/^volume (rm|inspect)$/, 'volumes'],
  [/^network (rm|inspect|connect|disconnect)$/, 'networks'],
];

async function names(cli: Cli, kind: string): Promise<string[]> {
  const client = await cli.client();
  if (kind.endsWith('containers')) {
    const list = await client.get<{ Names: string[] }[]>(
      '/containers/json',
      kind === 'all-containers' ? { all: 1 } : undefined,
    );
    return list.flatMap((one) =>
      one.Names.map((name) => name.slice(1)).filter((name) => !name.includes('/')),
    );
  }
  if (kind === 'images')
    return (await client.get<{ RepoTags: string[] | null }[]>('/images/json')).flatMap(
      (one) => one.RepoTags ?? [],
    );
  if (kind === 'volumes')
    return ((await client.get<{ Volumes: { Name: string }[] | null }>('/volumes')).Volumes ?? []).map(
      (one) => one.Name,
    );
  return (await client.get<{ Name: string }[]>('/networks')).map((one) => one.Name);
}

/** The words that can stand at the end of a command line, one a line; the shells' scripts call it. */
export const complete: Command = {
  synopsis: '[WORD...]',
  flags: [],
  interspersed: false,
  arity: anyArgs,
  run: async (cli, { args }) => {
    const { root } = await import('../tree.ts');
    const last = args.at(-1) ?? '';
    const before = args.slice(0, -1).filter((word) => !word.startsWith('-'));
    let nodes: readonly Node[] = root;
    const path: string[] = [];
    let found: Node | undefined;
    for (const word of before) {
      const next: Node | undefined = nodes.find((node) => node.name === word);
      if (next === undefined) break;
      found = next;
      path.push(word);
      nodes = next.kind === 'group' ? next.children : [];
    }
    const words: string[] = [];
    if (last.startsWith('-') && found?.kind === 'leaf') {
      const { flags } = await found.load();
      words.push(...flags.filter((flag) => !flag.hidden).map((flag) => `--${flag.name}`));
    } else if (found === undefined || found.kind === 'group') {
      words.push(
        ...nodes.filter((node) => node.kind === 'group' || node.hidden !== true).map((node) => node.name),
      );
    } else {
      const kind = arguments_.find(([pattern]) => pattern.test(path.join(' ')))?.[1];
      if (kind !== undefined) words.push(...(await names(cli, kind).catch(() => [])));
    }
    cli.out(
      words
        .filter((word) => word.startsWith(last))
        .map((word) => `${word}\n`)
        .join(''),
    );
  },
};
