import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalizePath } from '#core/http/target.ts';

describe('normalizePath', () => {
  test.each<[source: string, path: string, normal: string]>([
    ['the root', '/', '/'],
    ['nothing to do', "/a-b._~!$&'()*+,;=:@/c", "/a-b._~!$&'()*+,;=:@/c"],
    ['RFC 3986 §6.2.2.1 upper-case hex', '/%c3%a9', '/%C3%A9'],
    ['RFC 3986 §6.2.2.2 unreserved', '/%61%5A%30%2d%2E%5f%7e', '/aZ0-._~'],
    ['RFC 3986 §2.2 reserved stay encoded', '/%2f%3a%3F%23', '/%2F%3A%3F%23'],
    ['decoded once only', '/%2561', '/%2561'],
    ['an encoded octet of any kind', '/%00%20%5c', '/%00%20%5C'],
    ['RFC 3986 §5.2.4 example', '/a/b/c/./../../g', '/a/g'],
    ['RFC 3986 §5.4.2 above the root', '/../../g', '/g'],
    ['RFC 3986 §5.4.2 last dots', '/b/..', '/'],
    ['a last dot', '/b/.', '/b/'],
    ['encoded dots are dots', '/a/%2e%2E/b', '/b'],
    ['encoded slash is no slash', '/a/..%2fb', '/a/..%2Fb'],
    ['three dots are a name', '/a/.../b', '/a/.../b'],
    ['hidden names', '/.well-known/x', '/.well-known/x'],
    ['empty segments are kept', '//a//b//', '//a//b//'],
    ['empty segments count', '/a//../b', '/a/b'],
    [
      'RFC 3986 §2.1 what cannot stand raw is encoded',
      '/a|b"<>[]{}^`',
      '/a%7Cb%22%3C%3E%5B%5D%7B%7D%5E%60',
    ],
    ['raw octets are encoded', '/\xc3\xa9', '/%C3%A9'],
  ])('%s: %s → %s', (_source, path, normal) => {
    expect(normalizePath(path)).toBe(normal);
  });

  test.each<[reason: string, path: string]>([
    ['nothing', ''],
    ['no slash first', 'a'],
    ['a cut encoding', '/%'],
    ['a cut encoding', '/a%4'],
    ['no hex', '/%zz'],
    ['an encoding in an encoding', '/%%34%31'],
    ['a space', '/a b'],
    ['NUL', '/a\0'],
    ['a line end', '/a\r\nb'],
    ['DEL', '/\x7f'],
    ['a backslash', '/a\\b'],
    ['a fragment', '/a#b'],
    ['a query', '/a?b'],
    ['no octet', '/é→'],
  ])('is invalid: %s', (_reason, path) => {
    expect(normalizePath(path)).toBeUndefined();
  });

  const piece = fc.oneof(
    fc.constantFrom(
      '/',
      '//',
      '.',
      '..',
      '/./',
      '/../',
      '%2e',
      '%2E',
      '%2f',
      '%25',
      '%61',
      '%',
      '|',
    ),
    fc.stringMatching(/^[ -~]{0,4}$/),
    fc.stringMatching(/^%[0-9a-fA-F]{2}$/),
  );
  const anyPath = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);

  test('changes nothing the second time', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const once = normalizePath(path);
        fc.pre(once !== undefined);
        expect(normalizePath(once)).toBe(once);
      }),
      { numRuns: 5000 },
    );
  });

  test('leaves no dot segment and nothing that a URI cannot hold', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const normal = normalizePath(path);
        fc.pre(normal !== undefined);
        expect(normal).toMatch(/^\/(?:[\w\-.~!$&'()*+,;=:@/]|%[0-9A-F]{2})*$/);
        expect(normal.split('/')).not.toContain('..');
        expect(normal.split('/')).not.toContain('.');
      }),
      { numRuns: 5000 },
    );
  });
});
