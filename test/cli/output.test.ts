import { expect, test } from 'vitest';
import { errorLine, table } from '#cli/output.ts';
import { CanopyError } from '#core/errors.ts';

test('table aligns columns and leaves no space at the end of lines', () => {
  const text = table(
    ['node', 'ms'],
    [
      ['edge-oslo', 3],
      ['o', 12],
    ],
  );
  expect(text).toBe(['NODE       MS', 'edge-oslo  3', 'o          12'].join('\n'));
});

test('table without rows is its headings', () => {
  expect(table(['a', 'b'], [])).toBe('A  B');
});

test.each([
  [new CanopyError('conflict', 'host a.test is taken'), 'canopy: host a.test is taken (conflict)'],
  [new Error('first\n  second'), 'canopy: first second'],
  ['thrown text', 'canopy: thrown text'],
])('errorLine of %s is one line', (error, line) => {
  expect(errorLine(error)).toBe(line);
});
