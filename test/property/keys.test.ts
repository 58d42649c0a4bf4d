import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { cacheKey, purgedKeys } from '#core/cache/key.ts';
import { servedSite } from '#core/cache/served-site.ts';
import { siteSchema } from '#core/contract/site.ts';
import { type KeptParameters, targetFolder } from '#core/http/query.ts';
import { bestLanguage } from '#core/http/language.ts';

const parameter = fc
  .tuple(
    fc.constantFrom('a', 'b', 'ab', 'A', '%61', 'utm_x', ''),
    fc.constantFrom('', '=', '=1', '=2', '=a=b'),
  )
  .map(([name, value]) => name + value);
const query = fc.array(parameter, { maxLength: 8 });
const kept = fc.constantFrom<KeptParameters>(
  'all',
  'none',
  { include: ['a', 'utm_*'] },
  { exclude: ['utm_*', 'b'] },
);

const targetOf = (parameters: readonly string[]): string =>
  parameters.length === 0 ? '/p' : `/p?${parameters.join('&')}`;
const nameOf = (text: string): string => text.split('=', 1)[0] ?? '';

/** A query and the same parameters in another order, those of one name as they came. */
const permuted = query.chain((parameters) =>
  fc.shuffledSubarray([...parameters.keys()], { minLength: parameters.length }).map((order) => {
    const queues = Map.groupBy(parameters, nameOf);
    const other = order.map((i) => queues.get(nameOf(parameters[i] ?? ''))?.shift() ?? '');
    return [parameters, other] as const;
  }),
);

test('every order of the parameters comes to one key, and a purge of any of them to that', () => {
  fc.assert(
    fc.property(permuted, kept, ([one, other], keeps) => {
      const site = servedSite(
        siteSchema.parse({
          name: 's',
          hosts: ['*'],
          origin: { kind: 'push' },
          key: { query: keeps },
        }),
      );
      const { foldTarget } = site.keying;
      const parts = { scheme: 'http', host: 'h', target: targetOf(one) } as const;
      const key = cacheKey(site, parts, foldTarget(targetOf(one)));
      expect(foldTarget(targetOf(other))).toBe(foldTarget(targetOf(one)));
      expect(purgedKeys(site, 'h', targetOf(other))).toEqual([key]);
    }),
  );
});

test('folding twice changes nothing, so that tiers come to the same', () => {
  fc.assert(
    fc.property(query, kept, fc.boolean(), (parameters, keeps, sort) => {
      const fold = targetFolder(keeps, sort);
      const once = fold(targetOf(parameters));
      expect(fold(once)).toBe(once);
    }),
  );
});

test('a folded query has the parameters that count, and no others', () => {
  fc.assert(
    fc.property(query, (parameters) => {
      const fold = targetFolder({ exclude: ['utm_*'] }, true);
      const counted = parameters.filter((text) => !text.startsWith('utm_'));
      const folded = fold(targetOf(parameters)).split('?')[1] ?? '';
      const expected = targetOf(counted).split('?')[1] ?? '';
      expect(folded.split('&').toSorted()).toEqual(expected.split('&').toSorted());
    }),
  );
});

test('different parameters never share a key unless the site says so', () => {
  fc.assert(
    fc.property(query, query, (one, other) => {
      const fold = targetFolder('all', true);
      const same = fold(targetOf(one)) === fold(targetOf(other));
      expect(same).toBe(canonical(one) === canonical(other));
    }),
  );
});

/** What counts of a query, found another way: for each name its parameters in their order. */
function canonical(parameters: readonly string[]): string {
  if (parameters.length === 0) return 'no query';
  const byName = [...Map.groupBy(parameters, nameOf)];
  return JSON.stringify(byName.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const tag = fc.constantFrom('en', 'en-GB', 'de', 'de-AT', 'zh-Hant', 'zh-Hant-x-a', 'pt-BR');
const range = fc
  .tuple(fc.oneof(tag, fc.constantFrom('*', 'fr', '')), fc.constantFrom('', ';q=0', ';q=0.5', ';q'))
  .map(([name, weight]) => name + weight);

test('the language chosen is one of those that the site has, in its spelling', () => {
  fc.assert(
    fc.property(fc.array(tag, { minLength: 1 }), fc.array(range), (supported, ranges) => {
      expect(supported).toContain(bestLanguage(ranges.join(', '), supported));
    }),
  );
});

test('a language that is told upstream is chosen again from it', () => {
  fc.assert(
    fc.property(fc.uniqueArray(tag, { minLength: 1 }), fc.array(range), (supported, ranges) => {
      const chosen = bestLanguage(ranges.join(', '), supported);
      expect(bestLanguage(chosen, supported)).toBe(chosen);
    }),
  );
});

test('no Accept-Language is too odd to choose by', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(bestLanguage(text, ['en', 'de'])).toMatch(/^(?:en|de)$/);
    }),
  );
});
