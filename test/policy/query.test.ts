import { expect, test } from 'vitest';
import { type KeptParameters, targetFolder } from '#core/http/query.ts';

test.each<[string, KeptParameters, string, string]>([
  ['no query', 'all', '/a', '/a'],
  ['sorted by name', 'all', '/a?b=1&a=2', '/a?a=2&b=1'],
  ['equal names stay in order', 'all', '/a?b=2&a=3&b=1', '/a?a=3&b=2&b=1'],
  ['by octets: upper case first', 'all', '/a?a&B', '/a?B&a'],
  ['nothing is decoded', 'all', '/a?b&%61', '/a?%61&b'],
  ['an empty value is not the absence of one', 'all', '/a?a=&a', '/a?a=&a'],
  ['a name that begins another comes first', 'all', '/a?ab=1&a=1', '/a?a=1&ab=1'],
  ['an empty query stays', 'all', '/a?', '/a?'],
  ['a question mark within', 'all', '/a?b=?&a', '/a?a&b=?'],
  ['none', 'none', '/a?b=1', '/a'],
  ['none, and an empty one', 'none', '/a?', '/a'],
  ['included', { include: ['id', 'f_*'] }, '/a?x=1&id=2&f_b=3&f=4&id', '/a?f_b=3&id=2&id'],
  ['none of those included', { include: ['id'] }, '/a?x=1', '/a'],
  ['an included name in another spelling', { include: ['id'] }, '/a?%69d=1&ID=1', '/a'],
  ['excluded', { exclude: ['utm_*', 'fbclid'] }, '/a?utm_id=1&b&fbclid=2&a', '/a?a&b'],
  ['all excluded', { exclude: ['*'] }, '/a?b&a', '/a'],
  ['what an exclusion does not spell stays', { exclude: ['a'] }, '/a?%61=1&a=1', '/a?%61=1'],
])('%s', (_, kept, target, folded) => {
  expect(targetFolder(kept, true)(target)).toBe(folded);
});

test.each<[KeptParameters, string, string]>([
  ['all', '/a?b&a', '/a?b&a'],
  [{ include: ['a', 'b'] }, '/a?b&x&a', '/a?b&a'],
])('unsorted: %j', (kept, target, folded) => {
  expect(targetFolder(kept, false)(target)).toBe(folded);
});
