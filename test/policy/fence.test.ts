import { expect, test } from 'vitest';
import { Fence, type Fenced } from '#core/cache/fence.ts';
import { prefixesOf, type Scope, scopesOf } from '#core/cache/scopes.ts';
import type { PurgeMark } from '#core/cache/store.ts';

const content = (asOf: number, ...tags: readonly string[]): Fenced => ({
  site: 'site',
  key: 'site http://h/a/b?c',
  asOf,
  facts: { tags },
});
const mark = (sequence: number, mode: PurgeMark['mode'] = 'hard'): PurgeMark => ({
  sequence,
  mode,
  at: sequence * 1000,
});
const site: Scope = { kind: 'site', site: 'site' };
const prefix = (name: string): Scope => ({ kind: 'prefix', site: 'site', name });
const tag = (name: string): Scope => ({ kind: 'tag', site: 'site', name });
const everything: Scope = { kind: 'everything' };

const HARD = { mode: 'hard', at: 0 };
const soft = (sequence: number) => ({ mode: 'soft', at: sequence * 1000 });

test.for<[given: string, raised: [Scope, PurgeMark][], content: Fenced, verdict: unknown]>([
  ['nothing', [], content(1), undefined],
  ['its site', [[site, mark(5)]], content(4), HARD],
  ['its site, before it was fetched', [[site, mark(5)]], content(5), undefined],
  ['another site', [[{ kind: 'site', site: 'other' }, mark(5)]], content(4), undefined],
  ['everything', [[everything, mark(5)]], content(4), HARD],
  ['its host', [[prefix('h'), mark(5)]], content(4), HARD],
  ['its path', [[prefix('h/a/b'), mark(5)]], content(4), HARD],
  ['a path above', [[prefix('h/a'), mark(5)]], content(4), HARD],
  ['a path below', [[prefix('h/a/b/c'), mark(5)]], content(4), undefined],
  ['a path beside', [[prefix('h/a/'), mark(5)]], content(4), undefined],
  ['a tag of it', [[tag('y'), mark(5)]], content(4, 'x', 'y'), HARD],
  ['another tag', [[tag('z'), mark(5)]], content(4, 'x', 'y'), undefined],
  ['a tag named as a path of it', [[tag('h/a'), mark(5)]], content(4), undefined],
  ['a soft purge', [[tag('x'), mark(5, 'soft')]], content(4, 'x'), soft(5)],
  [
    'the latest of two soft purges',
    [
      [tag('x'), mark(5, 'soft')],
      [everything, mark(6, 'soft')],
    ],
    content(4, 'x'),
    soft(6),
  ],
  [
    'the latest soft purge that it was there for',
    [
      [tag('x'), mark(7, 'soft')],
      [site, mark(5, 'soft')],
    ],
    content(6, 'x'),
    soft(7),
  ],
  [
    'a hard purge before a soft one',
    [
      [tag('x'), mark(5)],
      [tag('x'), mark(6, 'soft')],
    ],
    content(4, 'x'),
    HARD,
  ],
  [
    'a soft purge since a hard one',
    [
      [tag('x'), mark(5)],
      [tag('x'), mark(6, 'soft')],
    ],
    content(5, 'x'),
    soft(6),
  ],
  [
    'purges out of their order',
    [
      [site, mark(6)],
      [site, mark(5)],
    ],
    content(5),
    HARD,
  ],
])('an object is judged by a purge of %s', ([, raised, object, verdict]) => {
  const fence = new Fence();
  for (const [scope, purge] of raised) {
    // What was found before is not what is found after.
    fence.verdict(object);
    fence.raise(scope, purge);
  }
  expect(fence.verdict(object)).toEqual(verdict);
  expect(fence.verdict(object)).toEqual(verdict);
});

test('what was found of an object is not believed of a copy that differs', () => {
  const fence = new Fence();
  fence.raise(tag('x'), mark(5));
  const object = content(4, 'y');
  expect(fence.verdict(object)).toBeUndefined();
  expect(fence.verdict({ ...object, facts: { tags: ['x'] } })).toEqual(HARD);
  const purged = content(4, 'x');
  expect(fence.verdict(purged)).toEqual(HARD);
  expect(fence.verdict({ ...purged, asOf: 5 })).toBeUndefined();
});

test('a hit finds what was found before, and no raise of another site makes it look again', () => {
  const fence = new Fence();
  fence.raise(tag('x'), mark(5));
  const object = content(4, 'y');
  fence.verdict(object);
  const { checked } = object;
  fence.raise({ kind: 'tag', site: 'other', name: 'y' }, mark(6));
  fence.verdict(object);
  expect(object.checked).toBe(checked);
});

test('the oldest of too many scopes counts for its whole site', () => {
  const fence = new Fence(3);
  for (const [i, name] of ['a', 'b', 'c', 'a', 'd'].entries()) fence.raise(tag(name), mark(i + 10));
  expect(fence.epochs.map(({ scope }) => scope)).toEqual([site, tag('c'), tag('a'), tag('d')]);
  expect(fence.verdict(content(10))).toEqual(HARD);
  expect(fence.verdict(content(11))).toBeUndefined();
  expect(fence.verdict(content(11, 'a'))).toEqual(HARD);
});

test('a soft epoch that is widened stays soft', () => {
  const fence = new Fence(1);
  fence.raise(prefix('h/x'), mark(5, 'soft'));
  fence.raise(tag('y'), mark(6));
  expect(fence.verdict(content(4))).toEqual(soft(5));
});

test('long names are bounded as well', () => {
  const fence = new Fence();
  const name = 'n'.repeat(1024 * 1024);
  for (let i = 0; i < 20; i++) fence.raise(tag(`${name}${i}`), mark(i + 1));
  expect(fence.epochs).toHaveLength(16);
});

test('what is forgotten concerns nothing, unless it was raised again', () => {
  const fence = new Fence();
  fence.raise(tag('x'), mark(5));
  const [before] = fence.epochs;
  fence.raise(tag('x'), mark(6));
  const [after] = fence.epochs;
  if (before === undefined || after === undefined) throw new Error('There are epochs');
  fence.forget(before);
  expect(fence.verdict(content(5, 'x'))).toEqual(HARD);
  fence.forget(after);
  expect(fence.verdict(content(5, 'x'))).toBeUndefined();
  expect(fence.epochs).toEqual([]);
});

test('a fence takes over what another knew, and adds to what it knows', () => {
  const fence = new Fence();
  fence.raise(site, mark(2));
  fence.raise(tag('x'), mark(5, 'soft'));
  fence.raise(everything, mark(3, 'soft'));
  fence.advance(7);
  const other = new Fence();
  other.raise(tag('x'), mark(6));
  const { sequence, epochs } = fence;
  other.restore({ sequence, epochs });
  expect(other.sequence).toBe(7);
  expect(other.epochs.toSorted(byName)).toEqual(
    [
      { scope: everything, epoch: { hard: 0, soft: 3, softAt: 3000 } },
      { scope: site, epoch: { hard: 2, soft: 0, softAt: 0 } },
      { scope: tag('x'), epoch: { hard: 6, soft: 5, softAt: 5000 } },
    ].toSorted(byName),
  );
});

const byName = (a: object, b: object): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

test.for([
  ['site http://h/', ['h', 'h/']],
  ['site https://h/a/b?c/d', ['h', 'h/a', 'h/a/b']],
  ['site /a/?c', ['', '/a', '/a/']],
  ['site http://h/a\n9f 3', ['h', 'h/a']],
  ['site http://[::1]/a', ['[::1]', '[::1]/a']],
] as const)('the prefixes of %j', ([key, prefixes]) => {
  expect(prefixesOf(key)).toEqual(prefixes);
});

test('a path has as many prefixes as can be purged', () => {
  expect(prefixesOf(`site http://h${'/a'.repeat(64)}`)).toHaveLength(65);
  expect(prefixesOf(`site http://h${'/'.repeat(8000)}`)).toHaveLength(65);
});

test('what the own origin holds has no host', () => {
  const own = { origin: { kind: 'push' } } as const;
  const names = (target: Parameters<typeof scopesOf>[0]) =>
    scopesOf(target, own).map((scope) => 'name' in scope && scope.name);
  const prefixes = ['h/a', 'g/a', 'h'];
  expect(names({ kind: 'prefixes', site: 'site', prefixes })).toEqual(['/a', '']);
  expect(names({ kind: 'hosts', site: 'site', hosts: ['h'] })).toEqual(['']);
});
