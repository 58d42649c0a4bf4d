import { expect, test } from 'vitest';
import { redirectTarget } from '#core/http/redirect.ts';

const FROM = { origin: 'https://origin.example:8443', target: '/a/b?c' };
const HOSTS = ['media.example', '*.cdn.example'];

test.for<[what: string, status: number, location: string | undefined, to: string | undefined]>([
  ['the same server', 301, '/d', 'https://origin.example:8443/d'],
  ['relative to the target', 302, 'd?e', 'https://origin.example:8443/a/d?e'],
  ['an allowed host', 307, 'https://media.example/d', 'https://media.example/d'],
  ['a subdomain of an allowed one', 308, 'https://x.cdn.example/', 'https://x.cdn.example/'],
  ['a fragment is not sent', 303, '/d#f', 'https://origin.example:8443/d'],
  ['another host', 302, 'https://evil.example/', undefined],
  ['the name of the wildcard itself', 302, 'https://cdn.example/', undefined],
  ['a name that ends alike', 302, 'https://evilmedia.example/', undefined],
  ['the same host on another port', 302, 'https://origin.example/', undefined],
  ['down to http', 302, 'http://media.example/', undefined],
  ['credentials', 302, 'https://me:you@media.example/', undefined],
  ['another scheme', 302, 'ftp://media.example/', undefined],
  ['no URL', 302, 'https://', undefined],
  ['no Location', 302, undefined, undefined],
  ['a status that is no redirect', 300, '/d', undefined],
  ['a status that is no redirect', 304, '/d', undefined],
])('%s: %i %s leads to %s (RFC 9110 §15.4)', ([, status, location, to]) => {
  const fields = location === undefined ? [] : ['Location', location];
  const found = redirectTarget('GET', { status, fields }, FROM, HOSTS);
  expect(found && found.origin + found.target).toBe(to);
});

test('a request with content is not sent to where its sender did not send it', () => {
  const answer = { status: 307, fields: ['Location', '/d'] };
  expect(redirectTarget('POST', answer, FROM, HOSTS)).toBeUndefined();
});
