import { expect, test } from 'vitest';
import { invalidated } from '#core/cache/policy/invalidation.ts';

const request = {
  method: 'POST',
  scheme: 'http',
  authority: 'example.org',
  target: '/cart?x',
} as const;

test.each<[string, string, number, readonly string[], readonly string[]]>([
  ['RFC 9111 §4.4: the target of an unsafe method', 'POST', 200, [], ['/cart?x']],
  ['RFC 9111 §4.4: after a redirect', 'DELETE', 303, [], ['/cart?x']],
  ['RFC 9111 §4.4: of a method that is not known', 'M-SEARCH', 200, [], ['/cart?x']],
  ['RFC 9111 §4.4: not after an error', 'POST', 500, [], []],
  ['RFC 9111 §4.4: not after a client error', 'POST', 404, [], []],
  ['RFC 9110 §9.2.1: not of a safe method', 'OPTIONS', 200, [], []],
  ['RFC 9111 §4.4: Location', 'POST', 201, ['Location', '/item/1'], ['/cart?x', '/item/1']],
  [
    'RFC 9111 §4.4: Content-Location, relative',
    'PUT',
    200,
    ['Content-Location', 'b?y'],
    ['/cart?x', '/b?y'],
  ],
  [
    'RFC 9111 §4.4: of the same origin, absolute',
    'POST',
    200,
    ['Location', 'http://example.org/a'],
    ['/cart?x', '/a'],
  ],
  [
    'RFC 9111 §4.4: of another host',
    'POST',
    200,
    ['Location', 'http://other.example/a'],
    ['/cart?x'],
  ],
  [
    'RFC 9111 §4.4: of another port',
    'POST',
    200,
    ['Location', 'http://example.org:81/a'],
    ['/cart?x'],
  ],
  ['RFC 3986 §6.2.2: in one spelling', 'POST', 201, ['Location', '/a%7eb'], ['/cart?x', '/a~b']],
  ['a reference that is none', 'POST', 200, ['Location', 'http://[/'], ['/cart?x']],
])('%s', (_, method, status, fields, targets) => {
  const found = invalidated({ ...request, method }, status, fields);
  expect(found.map(({ target }) => target)).toEqual(targets);
});
