import { expect, test } from 'vitest';
import { siteSchema } from '#core/contract/site.ts';
import { SiteDirectory } from '#core/sites.ts';
import { planPurge } from '#control-plane/purge/plan.ts';

const directory = new SiteDirectory([
  siteSchema.parse({ name: 'shop', hosts: ['www.example.org'], origin: { kind: 'push' } }),
  siteSchema.parse({ name: 'blog', hosts: ['blog.example.org'], origin: { kind: 'push' } }),
]);

const plan = (...urls: readonly string[]) =>
  planPurge({ urls: [...urls], mode: 'hard' }, directory);
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
  expect(plan(`${HOST}/a`, 'http://blog.example.org/', `${HOST}/b`, `${HOST}/a`)).toEqual([
    { kind: 'urls', site: 'shop', urls: [`${HOST}/a`, `${HOST}/b`] },
    { kind: 'urls', site: 'blog', urls: ['http://blog.example.org/'] },
  ]);
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
