import { expect, test } from 'vitest';
import { madeSelector, withinCap } from '#core/cache/policy/keeping.ts';

const source = (selector: string, contentId: string) => ({ selector, contentId });
const made = (selector: string, from: string, form = 'br') => ({
  selector: madeSelector(selector, form),
  made: { from, form },
});
type Variants = readonly (ReturnType<typeof source> | ReturnType<typeof made>)[];

const [a, b, c] = [source('a', '1'), source('b', '2'), source('c', '3')];

test.each<[string, Variants, number, Variants]>([
  ['the latest stay', [a, b, c], 2, [a, b]],
  ['the first stays whatever the cap', [a, b], 0, [a]],
  ['what is made pushes nothing out', [made('a', '1'), a, b], 2, [made('a', '1'), a, b]],
  ['nor does it count', [a, made('b', '2'), b], 2, [a, made('b', '2'), b]],
  [
    'it goes with content that is replaced',
    [source('a', '9'), made('a', '1')],
    2,
    [source('a', '9')],
  ],
  ['it stays where its source is elsewhere', [b, made('a', '1')], 2, [b, made('a', '1')]],
])('%s', (_, variants, cap, kept) => {
  expect(withinCap(variants, cap)).toEqual(kept);
});

test('what is made is capped by itself', () => {
  const forms = Array.from({ length: 40 }, (_, i) => made('a', '1', `form-${i}`));
  expect(withinCap([a, ...forms], 2)).toEqual([a, ...forms.slice(0, 32)]);
});
