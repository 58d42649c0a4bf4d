import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { cacheKey, purgedKeys } from '#core/cache/key.ts';
import { servedSite } from '#core/cache/served-site.ts';
import { siteSchema } from '#core/contract/site.ts';
import { CanopyError } from '#core/errors.ts';
import { readRequest } from '#core/http/request.ts';

const read = (
  target: string,
  fields: readonly string[] = ['Host', 'example.org'],
  method = 'GET',
) => readRequest({ method, target, fields, encrypted: false });

test.each<[string, string, readonly string[], Partial<ReturnType<typeof read>>]>([
  [
    'RFC 9112 §3.2.1: origin-form',
    '/a?b=c',
    ['Host', 'Example.org:8080'],
    { host: 'example.org', authority: 'Example.org:8080', target: '/a?b=c', scheme: 'http' },
  ],
  [
    'RFC 9112 §3.2.2: absolute-form overrides Host',
    'https://www.example.org/a',
    ['Host', 'other'],
    { host: 'www.example.org', target: '/a', scheme: 'https' },
  ],
  ['RFC 9110 §4.2.3: an empty path is /', 'http://example.org?q', [], { target: '/?q' }],
  ['a trailing dot of the host', '/', ['Host', 'example.org.'], { host: 'example.org' }],
  ['an IPv6 address', '/', ['Host', '[::1]:8080'], { host: '[::1]' }],
  ['RFC 3986 §6.2.2: one spelling of a path', '/a/./b/../%7ec', ['Host', 'h'], { target: '/a/~c' }],
  [
    'RFC 9112 §6.3: content by length',
    '/',
    ['Host', 'h', 'Content-Length', '1'],
    { hasContent: true },
  ],
  [
    'RFC 9112 §6.3: a length of none',
    '/',
    ['Host', 'h', 'Content-Length', '0'],
    { hasContent: false },
  ],
  [
    'RFC 9112 §6.3: content in chunks',
    '/',
    ['Host', 'h', 'Transfer-Encoding', 'chunked'],
    { hasContent: true },
  ],
])('%s', (_, target, fields, expected) => {
  expect(read(target, fields)).toMatchObject(expected);
});

test('RFC 9110 §9.3.7: OPTIONS of the server as a whole', () => {
  expect(read('*', ['Host', 'h'], 'OPTIONS').target).toBe('*');
});

test.each<[string, string, readonly string[], string, string?]>([
  ['RFC 9110 §7.2: two hosts', '/', ['Host', 'a', 'Host', 'b'], 'invalid-request'],
  ['RFC 9110 §7.2: no host', '/', [], 'invalid-request'],
  ['a host with user information', '/', ['Host', 'a@b'], 'invalid-request'],
  ['a host with a path', '/', ['Host', 'a/b'], 'invalid-request'],
  ['a path that is none', 'a', ['Host', 'h'], 'invalid-request'],
  ['RFC 3986 §2.1: a broken percent-encoding', '/%zz', ['Host', 'h'], 'invalid-request'],
  ['a fragment', '/a#b', ['Host', 'h'], 'invalid-request'],
  ['a space in the query', '/a?b c', ['Host', 'h'], 'invalid-request'],
  ['too long', `/${'a'.repeat(9000)}`, ['Host', 'h'], 'uri-too-long'],
  ['RFC 9110 §9.3.8: TRACE', '/', ['Host', 'h'], 'method-not-allowed', 'TRACE'],
])('refused: %s', (_, target, fields, code, method = 'GET') => {
  expect(() => read(target, fields, method)).toThrow(expect.objectContaining({ code }));
});

const outcome = (target: string, host: string): unknown => {
  try {
    return read(target, ['Host', host]).host;
  } catch (error) {
    return error;
  }
};

test('whatever is received is read or refused with a code', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (target, host) => {
      const result = outcome(target, host);
      expect(result instanceof CanopyError || typeof result === 'string').toBe(true);
    }),
  );
});

const pull = servedSite(
  siteSchema.parse({
    name: 'shop',
    hosts: ['*'],
    origin: { kind: 'pull', servers: [{ url: 'http://127.0.0.1:1' }] },
  }),
);
const push = servedSite(siteSchema.parse({ name: 'docs', hosts: ['*'], origin: { kind: 'push' } }));

test('a key names the site, the scheme, the host and the target', () => {
  expect(cacheKey(pull, read('/a?b'))).toBe('shop http://example.org/a?b');
});

test('what our own origin holds is one object under every host', () => {
  expect(cacheKey(push, read('/a', ['Host', 'one']))).toBe(
    cacheKey(push, read('/a', ['Host', 'two'])),
  );
});

test('a purge of a URL concerns both schemes', () => {
  expect(purgedKeys(pull, 'example.org', '/a')).toEqual([
    'shop http://example.org/a',
    'shop https://example.org/a',
  ]);
  expect(purgedKeys(push, 'example.org', '/a')).toEqual(['docs /a']);
});
