import { expect, test } from 'vitest';
import { tagsOf, withoutTags } from '#core/http/tags.ts';

const numbers = (count: number): string => Array.from({ length: count }, (_, i) => i).join(' ');

test.each<[string, readonly string[], readonly string[] | undefined]>([
  ['none', ['ETag', '"1"'], []],
  ['Cache-Tag by commas', ['Cache-Tag', 'a, b c ,,d'], ['a', 'b c', 'd']],
  ['Surrogate-Key by spaces', ['Surrogate-Key', ' a  b,c '], ['a', 'b,c']],
  ['xkey by spaces and lines', ['xkey', 'a b', 'xkey', 'c'], ['a', 'b', 'c']],
  ['each once', ['Cache-Tag', 'a,b', 'Surrogate-Key', 'b c'], ['a', 'b', 'c']],
  ['letter case counts', ['Cache-Tag', 'a,A'], ['a', 'A']],
  ['1001', ['xkey', numbers(1001)], undefined],
  ['1024 bytes', ['xkey', 'x'.repeat(1024)], ['x'.repeat(1024)]],
  ['1025 bytes', ['xkey', 'x'.repeat(1025)], undefined],
])('%s', (_, fields, tags) => {
  expect(tagsOf(fields)).toEqual(tags);
});

test('1000 tags are kept', () => {
  expect(tagsOf(['xkey', numbers(1000)])).toHaveLength(1000);
});

test('clients may be spared them', () => {
  const fields = ['cache-tag', 'a', 'ETag', '"1"', 'Surrogate-Key', 'b', 'XKey', 'c'];
  expect(withoutTags(fields)).toEqual(['ETag', '"1"']);
});
