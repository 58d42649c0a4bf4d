import { expect, test } from 'vitest';
import { bestLanguage } from '#core/http/language.ts';

test.each<[string, string | undefined, readonly string[], string]>([
  ['nothing asked', undefined, ['en', 'de'], 'en'],
  ['empty', '', ['en', 'de'], 'en'],
  ['the one', 'de', ['en', 'de'], 'de'],
  ['RFC 4647 §3.4: from the end', 'de-AT-1996', ['en', 'de', 'de-AT'], 'de-AT'],
  ['RFC 4647 §3.4: a range is not lengthened', 'de', ['en', 'de-AT'], 'en'],
  [
    'RFC 4647 §3.4: a single letter goes with its subtag',
    'zh-Hant-x-priv',
    ['en', 'zh-Hant'],
    'zh-Hant',
  ],
  ['RFC 4647 §3.4: the next range', 'fr, de;q=0.5', ['en', 'de'], 'de'],
  ['RFC 4647 §3.4: * alone is the default', '*', ['en', 'de'], 'en'],
  ['RFC 4647 §2: letter case does not count', 'PT-br', ['en', 'pt-BR'], 'pt-BR'],
  ['RFC 9110 §12.4.2: the heaviest first', 'en;q=0.3, de;q=0.8', ['en', 'de'], 'de'],
  ['RFC 9110 §12.4.2: of one weight the first', 'de, en', ['en', 'de'], 'de'],
  ['RFC 9110 §12.4.2: weight 0 is not acceptable', 'de;q=0, fr', ['en', 'de'], 'en'],
  ['a weight that is none', 'de;q=x', ['en', 'de'], 'en'],
  ['a range longer than any tag', `de${'-x1'.repeat(40)}`, ['en', 'de'], 'en'],
  ['beyond 32 ranges', `${'xx,'.repeat(32)}de`, ['en', 'de'], 'en'],
])('%s', (_, acceptLanguage, supported, expected) => {
  expect(bestLanguage(acceptLanguage, supported)).toBe(expected);
});
