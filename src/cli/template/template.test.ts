import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Template } from './index.ts';
import { inspected } from './inspected.ts';

const data = {
  Name: 'web',
  Labels: { b: '2', a: '1' },
  List: ['x', 'y'],
  Nested: [{ Name: 'n1' }, { Name: 'n2' }],
  Count: 3,
  Ratio: 1.5,
  Big: 9_007_199_254_740_991,
  Nil: null,
  Html: '<a&b>',
};

for (const [source, expected] of [
  ['{{.Name}}', 'web'],
  ['{{.Missing}}', '<no value>'],
  ['{{.Nil}}', '<nil>'],
  ['{{.Labels}} {{.List}}', 'map[a:1 b:2] [x y]'],
  ['{{json .Labels}} {{json .Html}}', String.raw`{"a":"1","b":"2"} "\u003ca\u0026b\u003e"`],
  ['{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}', 'a=1;b=2;'],
  ['{{range $i, $e := .List}}{{if $i}},{{end}}{{$e}}{{end}}', 'x,y'],
  ['{{range .Nested}}{{.Name}}{{$.Count}} {{end}}', 'n13 n23 '],
  ['{{range .Empty}}a{{else}}none{{end}}', 'none'],
  ['{{with .Name}}{{.}}{{end}}{{with .Nil}}x{{else}}y{{end}}', 'weby'],
  ['{{if eq .Name "a" "web"}}1{{else if true}}2{{end}}', '1'],
  ['{{if and .Name (gt .Count 2)}}yes{{end}} {{or .Nil "d"}} {{not .Nil}}', 'yes d true'],
  ['{{index .Labels "a"}} {{index .List 1}} {{(index .Nested 0).Name}} {{len .List}}', '1 y n1 2'],
  ['{{slice .Name 1}} {{slice .Name 0 2}}', 'eb we'],
  ['{{printf "%-5s|%3d|%q|%v|%.2f" .Name .Count .Name .List .Ratio}}', 'web  |  3|"web"|[x y]|1.50'],
  ['{{.Name | printf "%s-%s" "a" | upper}}', 'A-WEB'],
  ['{{join (split "a-b" "-") "+"}} {{title "ab cd"}} {{lower "AB"}}', 'a+b Ab Cd ab'],
  ['{{pad .Name 1 2}}| {{truncate .Name 2}}', ' web  | we'],
  ['{{print 1 2 "a" "b" 3}} {{println "x"}}', '1 2ab3 x\n'],
  ['a {{- .Name -}} b{{/* gone */}}c', 'awebbc'],
  ['{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}', '2'],
  ['{{range .List}}{{if eq . "y"}}{{break}}{{end}}{{.}}{{end}}', 'x'],
  ['{{.Big}} {{.Ratio}} {{true}} {{`raw`}} {{"a\\tb"}}', '9007199254740991 1.5 true raw a\tb'],
  ['{{define "t"}}<{{.}}>{{end}}{{template "t" .Name}}', '<web>'],
] as const) {
  test(`Template.run() gives Go's result for ${source}`, () => {
    assert.equal(new Template(source).run(data), expected);
  });
}

for (const [source, message] of [
  ['{{.Names', 'template: :1: unclosed action'],
  ['{{foo}}', 'template: :1: function "foo" not defined'],
  ['{{if .Name}}a', 'template: :1: unexpected EOF'],
  ['{{end}}', 'template: :1: unexpected {{end}}'],
  ['{{$y}}', 'template: :1: undefined variable "$y"'],
  ['{{break}}', 'template: :1: {{break}} outside {{range}}'],
  ['{{"a', 'template: :1: unterminated quoted string'],
] as const) {
  test(`new Template() refuses ${source} with Go's words`, () => {
    assert.throws(() => new Template(source), { message });
  });
}

for (const [source, message] of [
  ['{{.Name.Foo}}', 'template: :1:7: executing "" at <.Name.Foo>: can\'t evaluate field Foo in type string'],
  [
    '{{index .List 9}}',
    'template: :1:2: executing "" at <index .List 9>: error calling index: index out of range: 9',
  ],
  ['{{nil}}', 'template: :1:2: executing "" at <nil>: nil is not a command'],
  [
    'x\n {{slice .Name 0 9}}',
    'template: :2:3: executing "" at <slice .Name 0 9>: error calling slice: index out of range: 9',
  ],
] as const) {
  test(`Template.run() fails on ${JSON.stringify(source)} with Go's words`, () => {
    assert.throws(() => new Template(source).run(data), { message });
  });
}

test('inspected() gives objects fixed fields and maps free keys', () => {
  const value = inspected('{"Config":{"Labels":{"a":"b"},"Env":null,"Cmd":["x"]},"State":{"Running":true}}');
  const run = (source: string) => new Template(source).run(value);
  assert.equal(run('{{.Config.Labels.zz}} {{.Config.Env}} {{if .State.Health}}h{{end}}'), '<no value> [] ');
  assert.equal(run('{{.State}} {{json .Config.Env}} [{{index .Config.Labels "zz"}}]'), '{true} null []');
  assert.throws(() => run('{{.Config.Foo}}'), {
    message: 'template: :1:9: executing "" at <.Config.Foo>: map has no entry for key "Foo"',
  });
  assert.throws(() => run('{{.State.Health.Status}}'), { message: /map has no entry for key "Health"/ });
});
