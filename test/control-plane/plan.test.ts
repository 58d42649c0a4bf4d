import { expect, test } from 'vitest';
import { siteSchema } from '#core/contract/site.ts';
import { planPurge, purgeRequestSchema, withMode } from '#control-plane/purge/plan.ts';

const sites = [
  siteSchema.parse({ name: 'shop', hosts: ['www.example.org'], origin: { kind: 'push' } }),
  siteSchema.parse({ name: 'blog', hosts: ['blog.example.org'], origin: { kind: 'push' } }),
];

const planOf = (body: object, reach: readonly string[] | null = null) =>
  planPurge(withMode(purgeRequestSchema.parse(body)), { sites }, reach);
const plan = (...urls: readonly string[]) => planOf({ urls });
const HOST = 'http://www.example.org';

test.each([
  ['as it stands', `${HOST}/a?b='c'`, `${HOST}/a?b='c'`],
  ['without its fragment', `${HOST}/a#b`, `${HOST}/a`],
  ['with a port', `http://www.example.org:8080/a`, `http://www.example.org:8080/a`],
  ['by its host in lower case', `HTTPS://WWW.example.org:443/A`, `https://www.example.org/A`],
  ['without a path', HOST, HOST],
  ['as a browser would send it: a space', `${HOST}/a b`, `${HOST}/a%20b`],
  ['as a browser would send it: beyond ASCII', `${HOST}/é`, `${HOST}/%C3%A9`],
])('a URL is purged %s', (_, given, expected) => {
  expect(plan(given)).toEqual([{ kind: 'urls', site: 'shop', urls: [expected] }]);
});

test('URLs are sorted by site, each once', () => {
  expect(plan(`${HOST}/a`, 'http://blog.example.org/a', `${HOST}/b`, `${HOST}/a`)).toEqual([
    { kind: 'urls', site: 'shop', urls: [`${HOST}/a`, `${HOST}/b`] },
    { kind: 'urls', site: 'blog', urls: ['http://blog.example.org/a'] },
  ]);
});

test('at our own origin an index page and its directory are purged together', () => {
  const [page, directory] = [`${HOST}/a/index.html`, `${HOST}/a/`];
  const [target] = plan(page);
  expect(target).toEqual({ kind: 'urls', site: 'shop', urls: [page, directory] });
  expect(plan(directory)).toEqual([{ kind: 'urls', site: 'shop', urls: [directory, page] }]);
  expect(plan(directory, page)).toEqual([{ kind: 'urls', site: 'shop', urls: [directory, page] }]);
  const pull = { kind: 'pull', servers: [{ url: 'http://origin.example' }] } as const;
  const pulling = siteSchema.parse({ name: 'shop', hosts: ['www.example.org'], origin: pull });
  const request = withMode(purgeRequestSchema.parse({ urls: [directory] }));
  expect(planPurge(request, { sites: [pulling] }, null)).toEqual([
    { kind: 'urls', site: 'shop', urls: [directory] },
  ]);
});

test('so many URLs that their twins do not fit go in several targets', () => {
  const urls = Array.from({ length: 6000 }, (_, i) => `${HOST}/${i}/`);
  const targets = plan(...urls);
  expect(targets.map((one) => one.kind === 'urls' && one.urls.length)).toEqual([10_000, 2000]);
});

test.each([
  '/a',
  'www.example.org/a',
  'ftp://www.example.org/',
  'http://u:p@www.example.org/',
  `${HOST}/%zz`,
])('what names no object is refused: %s', (url) => {
  expect(() => plan(url)).toThrow('urls.0: expected an absolute http or https URL');
});

test('a host of no site is refused', () => {
  expect(() => plan('http://example.net/')).toThrow('expected a URL whose host belongs to a site');
});

test.each([
  ['a path', 'www.example.org/a', 'www.example.org/a'],
  ['a path with a slash', 'www.example.org/a/', 'www.example.org/a'],
  ['a path with a star', 'http://www.example.org/a/*', 'www.example.org/a'],
  ['another spelling', 'https://WWW.Example.org:443/%61/./b%2f', 'www.example.org/a/b%2F'],
  ['a host', 'www.example.org', 'www.example.org'],
  ['a host with a star', 'www.example.org/*', 'www.example.org'],
  ['an empty segment', 'www.example.org/a//', 'www.example.org/a/'],
])('a prefix is %s', (_, given, expected) => {
  expect(planOf({ prefixes: [given] })).toEqual([
    { kind: 'prefixes', site: 'shop', prefixes: [expected] },
  ]);
});

test.each([
  'www.example.org/a*',
  'www.example.org/*/b',
  'www.example.org/a?b',
  '/a',
  'ftp://www.example.org/a',
  'example.net/a',
  `www.example.org${'/a'.repeat(65)}`,
])('what names no prefix of a site is refused: %s', (prefix) => {
  expect(() => planOf({ prefixes: [prefix] })).toThrow('prefixes.0: expected');
});

test.each(['www.example.org/a', '*.example.org', 'example.net', 'a b'])(
  'what names no host of a site is refused: %s',
  (host) => {
    expect(() => planOf({ hosts: [host] })).toThrow('hosts.0: expected');
  },
);

test('hosts are sorted by site', () => {
  expect(planOf({ hosts: ['WWW.example.org:80', 'blog.example.org'] })).toEqual([
    { kind: 'hosts', site: 'shop', hosts: ['www.example.org'] },
    { kind: 'hosts', site: 'blog', hosts: ['blog.example.org'] },
  ]);
});

const tagsOf = (site: string) => ({ kind: 'tags', site, tags: ['news'] });

test.each([
  ['of one site', { tags: ['news'], site: 'blog' }, null, [tagsOf('blog')]],
  ['of every site', { tags: ['news', 'news'] }, null, [tagsOf('shop'), tagsOf('blog')]],
  ['of every site in reach', { tags: ['news'] }, ['shop'], [tagsOf('shop')]],
])('tags are %s', (_, body, reach, expected) => {
  expect(planOf(body, reach)).toEqual(expected);
});

test.each([
  [{ urls: [`${HOST}/a`] }, 'hard'],
  [{ prefixes: ['www.example.org/a'] }, 'hard'],
  [{ tags: ['news'] }, 'hard'],
  [{ hosts: ['www.example.org'] }, 'soft'],
  [{ site: 'shop' }, 'soft'],
  [{ everything: true }, 'soft'],
  [{ site: 'shop', mode: 'hard' }, 'hard'],
])('what may hold a whole site is only made stale unless told otherwise: %j', (body, mode) => {
  expect(withMode(purgeRequestSchema.parse(body)).mode).toBe(mode);
});
