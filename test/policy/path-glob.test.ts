import { expect, test } from 'vitest';
import { pathMatcher } from '#core/http/path-glob.ts';

test.each<[string, string, boolean]>([
  ['/a', '/a', true],
  ['/a', '/a/', false],
  ['/a', '/A', false],
  ['/*', '/a', true],
  ['/*', '/', true],
  ['/*', '/a/b', false],
  ['/*.jpg', '/a.jpg', true],
  ['/*.jpg', '/a.jpg.png', false],
  ['/a*c*e', '/abcde', true],
  ['/a*c*e', '/ace', true],
  ['/a*c*e', '/aec', false],
  ['/aba*aba', '/aba', false],
  ['/**', '/', true],
  ['/**', '/a/b/c', true],
  ['/a/**', '/a/b/c', true],
  ['/a/**', '/a', true],
  ['/a/**', '/ab', false],
  ['/**/*.jpg', '/a.jpg', true],
  ['/**/*.jpg', '/a/b/c.jpg', true],
  ['/**/*.jpg', '/a/b.jpg/c', false],
  ['/a/**/b/**/c', '/a/b/c', true],
  ['/a/**/b/**/c', '/a/x/b/y/z/c', true],
  ['/a/**/b/**/c', '/a/x/y/c', false],
  ['/a/**/b/c/**/d', '/a/b/b/c/d', true],
  ['/**/a/**/a', '/a', false],
  ['/a.b', '/axb', false],
])('%s on %s: %s', (glob, path, matches) => {
  expect(pathMatcher(glob)(path)).toBe(matches);
});

test('no path makes it slow', () => {
  const glob = `/**${'/*a*b/**'.repeat(50)}/c`;
  expect(pathMatcher(glob)('/aaab'.repeat(1600))).toBe(false);
});
