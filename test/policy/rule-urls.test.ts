import { readFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ruleSchema } from '#core/contract/rules/rule.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { pathCaptures, pathMatcher, wildcardsIn } from '#core/http/path-glob.ts';
import { MAX_TARGET_LENGTH, readRequest } from '#core/http/request.ts';
import { redirector } from '#core/rules/redirect.ts';
import { rewriter } from '#core/rules/rewrite.ts';
import { factsOf } from './rule-facts.ts';

const rule = (input: unknown) => validate(ruleSchema, input, 'rule');

function location(redirect: object, target: string, fields: readonly string[] = []) {
  const { redirect: action } = rule({ redirect });
  if (action === undefined) throw new Error('The rule has lost its redirect');
  const answer = redirector(action)(factsOf(target, fields));
  return answer?.fields[1];
}

function rewritten(rewrite: object, target: string, fields: readonly string[] = []) {
  const { rewrite: action } = rule({ rewrite });
  if (action === undefined) throw new Error('The rule has lost its rewrite');
  return rewriter(action)(target, factsOf(target, fields));
}

describe('a redirect', () => {
  const CANONICAL = { to: 'https://example.org${request.target}' };
  const MAP = {
    exact: { '/a': '/b', '/a?x=1': '/c', '/%7Eann': 'https://example.net/', '/e?': '/f' },
    prefix: { '/old/': '/new/', '/old/books/': 'https://books.example.net/', '/s/': '/' },
  };
  test.each<[string, object, string, string | undefined]>([
    ['to a path', { to: '/b' }, '/a', '/b'],
    ['keeps the query', { to: '/b' }, '/a?x=1', '/b?x=1'],
    ['appends the query to one', { to: '/b?y=2' }, '/a?x=1', '/b?y=2&x=1'],
    ['puts the query before a fragment', { to: '/b#top' }, '/a?x=1', '/b?x=1#top'],
    ['drops the query', { to: '/b', keepQuery: false }, '/a?x=1', '/b'],
    [
      'says the target itself',
      { to: 'https://example.net${request.target}' },
      '/a?x=1',
      'https://example.net/a?x=1',
    ],
    ['of one path', { from: '/a', to: '/b' }, '/a', '/b'],
    ['not of another path', { from: '/a', to: '/b' }, '/c', undefined],
    [
      'with what stars stand for',
      { from: '/*/x-*.html', to: '/${2}/${1}' },
      '/de/x-7.html',
      '/7/de',
    ],
    ['with whole segments', { from: '/old/**', to: '/new/${1}' }, '/old/a/b', '/new/a/b'],
    ['with no segments', { from: '/old/**', to: '/new/${1}' }, '/old', '/new/'],
    [
      'with several of both',
      { from: '/**/v*/**', to: '/${2}/${1}/${3}' },
      '/a/b/v2/c/d',
      '/2/a/b/c/d',
    ],
    ['without a trailing slash', { from: '/**/', to: '/${1}' }, '/a/b/', '/a/b'],
    [
      'to another host',
      { to: 'https://www.${request.host}${request.path}' },
      '/a',
      'https://www.example.org/a',
    ],
    ['to the very same URL is none', { from: '/*', to: '/${1}' }, '/a', undefined],
    ['to the canonical host is none there', CANONICAL, '/a?b', undefined],
    [
      'encodes what a client says',
      { to: '/${request.header.x-to}' },
      '/a',
      '/%2F%2Fevil.example%0D%3F',
    ],
    [
      'never leads to a host in a path',
      { from: '/go/**', to: '/${1}' },
      '/go//evil.example/',
      '/evil.example/',
    ],
    ['nor by the path itself', { to: '${request.path}' }, '//evil.example', '/evil.example'],
    ['by a map', MAP, '/a', '/b'],
    ['by a map, with the query kept', MAP, '/a?y=1', '/b?y=1'],
    ['by a map, of one query only', MAP, '/a?x=1', '/c'],
    ['by a map, however the path is spelled there', MAP, '/~ann', 'https://example.net/'],
    ['by a prefix', MAP, '/old/x?y', '/new/x?y'],
    ['by the longest prefix', MAP, '/old/books/7', 'https://books.example.net/7'],
    ['by a prefix, never to a host in a path', MAP, '/s//evil.example', '/evil.example'],
    ['by no entry', MAP, '/else', undefined],
  ])('%s', (_, action, target, expected) => {
    expect(location(action, target, ['X-To', '//evil.example\r?'])).toBe(expected);
  });

  test('by a map of ten thousand', () => {
    const exact = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, i) => [`/from/${i}`, `/to/${i}`]),
    );
    expect(location({ exact }, '/from/9999')).toBe('/to/9999');
    expect(location({ exact }, '/from/10000')).toBeUndefined();
  });

  test('says how long it holds', () => {
    const { redirect } = rule({ redirect: { to: '/b', status: 308, maxAgeSeconds: 60 } });
    expect(redirect && redirector(redirect)(factsOf('/a'))).toMatchObject({
      status: 308,
      fields: ['Location', '/b', 'Cache-Control', 'max-age=60'],
    });
  });
});

describe('a rewrite', () => {
  test.each<[string, object, string, string]>([
    ['of every path', { to: '/site${request.path}' }, '/a?x=1', '/site/a?x=1'],
    ['of one path', { from: '/a', to: '/b' }, '/a', '/b'],
    ['not of another', { from: '/a', to: '/b' }, '/c?x', '/c?x'],
    [
      'with captures',
      { from: '/blog/*/**', to: '/posts/${2}/${1}' },
      '/blog/7/a/b',
      '/posts/a/b/7',
    ],
    ['to an index', { from: '/**/', to: '/${1}/index.html' }, '/docs/', '/docs/index.html'],
    ['removes a parameter', { query: { remove: ['utm_*', 'x'] } }, '/a?x=1&y=2&utm_id=3', '/a?y=2'],
    ['removes the query', { query: { remove: ['*'] } }, '/a?x=1', '/a'],
    ['sets a parameter', { query: { set: { v: '2' } } }, '/a?v=1&w=1', '/a?w=1&v=2'],
    [
      'sets one by a capture',
      { from: '/p/*', to: '/p', query: { set: { id: '${1}' } } },
      '/p/7?a',
      '/p?a&id=7',
    ],
    [
      'sets one by what a client says, as one value',
      { query: { set: { v: '${request.header.x-v}' } } },
      '/a',
      '/a?v=1%26w%3D2%23',
    ],
    [
      'sets one by another, once encoded',
      { query: { set: { v: '${request.parameter.w}' } } },
      '/a?w=%20%2f',
      '/a?w=%20%2f&v=%20%2f',
    ],
  ])('%s', (_, action, target, expected) => {
    expect(rewritten(action, target, ['X-V', '1&w=2#'])).toBe(expected);
  });

  test.each([
    ['a client leads it out of its place', { to: '/files/${request.header.x-v}/a' }, '..'],
    ['a parameter does', { to: '/files/${request.parameter.v}' }, '%2e%2E'],
  ])('is refused where %s', (_, action, value) => {
    expect(() => rewritten(action, `/a?v=${value}`, ['X-V', value])).toThrow('cannot be rewritten');
  });

  test('is refused where it becomes too long', () => {
    const long = `/${'a'.repeat(MAX_TARGET_LENGTH - 2)}`;
    expect(() => rewritten({ to: '/site${request.path}' }, long)).toThrow('at most 8192');
  });
});

test.each<[string, object, string]>([
  ['a redirect to nowhere', { redirect: {} }, 'redirect: expected either to, or exact and prefix'],
  ['both a map and a place', { redirect: { to: '/a', exact: { '/b': '/c' } } }, 'either to'],
  [
    'a redirect to itself',
    { redirect: { from: '/a', to: '/a' } },
    'redirect.to: expected another path',
  ],
  [
    'a map that goes in circles',
    { redirect: { exact: { '/x': '/a', '/a': '/b', '/b': '/a' } } },
    'redirect.exact./a: expected a path that does not lead back',
  ],
  [
    'a prefix within itself',
    { redirect: { prefix: { '/a/': '/a/b/' } } },
    'expected a path outside of the prefix',
  ],
  [
    'a prefix whose rest would be a host',
    { redirect: { prefix: { '/a/': 'https://example.net' } } },
    'expected a URL with a path',
  ],
  [
    'a host that a client chooses',
    { redirect: { to: 'https://${request.header.x}/' } },
    'redirect.to: expected an http',
  ],
  [
    'a host that a path goes on',
    { redirect: { from: '/**', to: 'https://example.net${1}' } },
    'redirect.to: expected an http',
  ],
  ['credentials', { redirect: { to: 'https://a@example.net/' } }, 'redirect.to: expected an http'],
  ['a URL without scheme', { redirect: { to: '//example.net/' } }, 'redirect.to: expected an http'],
  ['another scheme', { redirect: { to: 'javascript:alert(1)' } }, 'redirect.to: expected an http'],
  ['a line break', { redirect: { to: '/a\r\nX: y' } }, 'expected characters of URLs only'],
  [
    'another status',
    { redirect: { to: '/a', status: 304 } },
    'redirect.status: expected 301 or 302',
  ],
  [
    'a capture of nothing',
    { redirect: { to: '/${1}' } },
    'expected no ${1}, where there is no from',
  ],
  [
    'more captures than wildcards',
    { redirect: { from: '/*', to: '/${2}' } },
    'expected at most ${1}',
  ],
  [
    'an unknown variable in a URL',
    { rewrite: { to: '/${client.planet}' } },
    'expected of variables only ${1}',
  ],
  ['a rewrite of nothing', { rewrite: { from: '/a' } }, 'expected at least one of to, query'],
  ['a rewrite by dot segments', { rewrite: { to: '/a/../b' } }, 'expected no . or .. segments'],
  [
    'a query in a rewritten path',
    { rewrite: { to: '/a?b' } },
    'rewrite.to: expected characters of paths',
  ],
  [
    'content where there is none',
    { respond: { status: 204, body: 'x' } },
    'respond.body: expected no content',
  ],
  [
    'too much content',
    { respond: { status: 200, body: 'é'.repeat(40_000) } },
    'respond.body: expected at most 64 KiB',
  ],
])('%s is refused', (_, input, message) => {
  expect(() => rule(input)).toThrow(message);
});

const segment = fc.stringMatching(/^[a-c.]{0,3}$/);
const anyPath = fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join('/')}`);
const glob = fc
  .array(
    fc.oneof(segment, fc.constant('*'), fc.constant('**'), fc.stringMatching(/^[ab]\*[ab]?$/)),
    {
      maxLength: 5,
    },
  )
  .map((segments) => `/${segments.join('/')}`);

/** No segments at all leave a slash too many. */
const squeezed = (text: string): string => text.replaceAll(/\/+/g, '/').replace(/\/$/, '');

test('what wildcards stand for makes the path again', () => {
  fc.assert(
    fc.property(glob, anyPath, (pattern, candidate) => {
      const captures = pathCaptures(pattern)(candidate);
      expect(captures !== undefined).toBe(pathMatcher(pattern)(candidate));
      if (captures === undefined) return;
      expect(captures).toHaveLength(wildcardsIn(pattern));
      let next = 0;
      const filled = pattern.replaceAll(/\*+/g, () => captures[next++] ?? '');
      expect(squeezed(filled)).toBe(squeezed(candidate));
    }),
  );
});

test('no path makes captures slow', () => {
  const pattern = `/**${'/*a*b/**'.repeat(50)}/c`;
  expect(pathCaptures(pattern)('/aaab'.repeat(1600))).toBeUndefined();
});

const octets = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,20}$/);
const variable = fc.constantFrom(
  '1',
  '2',
  'request.path',
  'request.header.x',
  'request.cookie.c',
  'request.parameter.p',
);
const template = fc
  .array(
    fc.oneof(
      variable.map((name) => `\${${name}}`),
      fc.constantFrom('/', 'a', '-', '%41'),
    ),
    {
      maxLength: 6,
    },
  )
  .map((parts) => `/${parts.join('')}`);
const request = fc.record({
  target: fc.tuple(anyPath, fc.stringMatching(/^[\x21\x22\x24-\x7e\x80-\xff]{0,12}$/)).map(
    ([of, query]) =>
      readRequest({
        method: 'GET',
        target: `${of}?p=${query}`,
        fields: ['Host', 'example.org'],
        encrypted: false,
      }).target,
  ),
  fields: fc.tuple(octets, octets).map(([x, c]) => ['X', x, 'Cookie', `c=${c}`]),
});

test('whatever a client says, a redirect leads to a URL of the site', () => {
  fc.assert(
    fc.property(template, request, (to, { target, fields }) => {
      if (!ruleSchema.safeParse({ redirect: { from: '/*/**', to } }).success) return;
      const place = location({ from: '/*/**', to }, target, fields);
      if (place === undefined) return;
      expect(place).toMatch(/^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/);
      expect(new URL(place, 'https://example.org').origin).toBe('https://example.org');
    }),
  );
});

/** `undefined` where it is refused as the client's fault; what else is thrown fails the test. */
function rewrittenOrNot(rewrite: object, target: string, fields: readonly string[]) {
  try {
    return rewritten(rewrite, target, fields);
  } catch (error) {
    if (error instanceof CanopyError && error.code === 'invalid-request') return undefined;
    throw error;
  }
}

test('whatever a client says, a rewrite makes a target that is read as it is, or is refused', () => {
  fc.assert(
    fc.property(template, template, request, (to, value, { target, fields }) => {
      const rewrite = { from: '/*/**', to, query: { set: { v: value } } };
      if (!ruleSchema.safeParse({ rewrite }).success) return;
      const result = rewrittenOrNot(rewrite, target, fields);
      if (result === undefined) return;
      const read = readRequest({
        method: 'GET',
        target: result,
        fields: ['Host', 'example.org'],
        encrypted: false,
      });
      expect(read.target).toBe(result);
    }),
  );
});

test('the recipes of the documentation are rules', async () => {
  const page = await readFile(new URL('../../docs/rules.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block ?? '');
  expect(blocks.length).toBeGreaterThan(1);
  for (const block of blocks) {
    const { rules } = parse(block) as { rules: unknown[] };
    for (const one of rules) expect(() => rule(one)).not.toThrow();
  }
});

test.each([
  ['/a/b/', '/a/b'],
  ['/b/', '/b'],
  ['/', undefined],
  ['/a', undefined],
])('the recipe for slashes leads from %s to %s', (path, expected) => {
  expect(location({ from: '/**/*/', to: '/${1}/${2}' }, path)).toBe(expected);
});
