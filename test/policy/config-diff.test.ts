import { expect, test } from 'vitest';
import { differences, differencesOf } from '#control-plane/config/diff.ts';
import { deltasBetween } from '#control-plane/config/version.ts';
import { type SiteInput, siteSchema } from '#core/contract/site.ts';

test.for<[what: string, before: unknown, after: unknown, expected: object[]]>([
  ['nothing', { a: 1 }, { a: 1 }, []],
  ['a value', { a: 1 }, { a: 2 }, [{ path: 'x.a', before: 1, after: 2 }]],
  ['a value that is new', {}, { a: null }, [{ path: 'x.a', after: null }]],
  ['a value that is gone', { a: 0 }, {}, [{ path: 'x.a', before: 0 }]],
  ['deeper down', { a: { b: 1, c: 1 } }, { a: { b: 1 } }, [{ path: 'x.a.c', before: 1 }]],
  [
    'a value of another type',
    { a: 1 },
    { a: { b: 1 } },
    [{ path: 'x.a', before: 1, after: { b: 1 } }],
  ],
  [
    'items of a list, wherever they stand',
    ['b', 'c'],
    ['a', 'c'],
    [
      { path: 'x', before: 'b' },
      { path: 'x', after: 'a' },
    ],
  ],
  ['the order of a list', [1, 2], [2, 1], [{ path: 'x', before: [1, 2], after: [2, 1] }]],
  [
    'lists of objects, one by one',
    [{ url: 'a', weight: 1 }],
    [{ url: 'a', weight: 2 }, { url: 'b' }],
    [
      { path: 'x.0.weight', before: 1, after: 2 },
      { path: 'x.1', after: { url: 'b' } },
    ],
  ],
])('differences: %s', ([, before, after, expected]) => {
  expect(differences(before, after, 'x')).toEqual(expected);
});

const SECRET = 'a-secret-of-the-origin';
const site = (secret: string, more: Partial<SiteInput> = {}) =>
  siteSchema.parse({
    name: 'shop',
    hosts: ['a.example'],
    origin: {
      kind: 'pull',
      servers: [{ url: 'http://o.example' }],
      signing: { keyId: 'k', secret },
    },
    ...more,
  });

const diff = (from: unknown, to: unknown) =>
  differencesOf(deltasBetween([siteSchema.parse(from)], [siteSchema.parse(to)]));

test('differencesOf names the site, and says of a secret only that it is another', () => {
  const path = 'sites.shop.origin.signing.secret';
  expect(diff(site(SECRET), site('the-next-secret-of-it'))).toEqual([
    { path, before: '(secret)', after: '(another secret)' },
  ]);
  expect(diff(site(SECRET), site(SECRET, { hosts: ['b.example'] }))).toEqual([
    { path: 'sites.shop.hosts', before: 'a.example' },
    { path: 'sites.shop.hosts', after: 'b.example' },
  ]);
  const made = differencesOf(deltasBetween([], [site(SECRET)]));
  const gone = differencesOf(deltasBetween([site(SECRET)], []));
  expect(made).toMatchObject([{ path: 'sites.shop', after: { name: 'shop' } }]);
  expect(gone).toMatchObject([{ path: 'sites.shop', before: { name: 'shop' } }]);
  expect(JSON.stringify([made, gone])).not.toContain(SECRET);
});
