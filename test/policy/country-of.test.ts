import { expect, test } from 'vitest';
import { countryOf } from '#core/geography/country-of.ts';

test.each([
  ['81.2.69.160', 'GB'],
  ['::ffff:81.2.69.160', 'GB'],
  ['2001:4860:4860::8888', 'US'],
  ['127.0.0.1', undefined],
  ['fe80::1%eth0', undefined],
  ['nonsense', undefined],
  ['', undefined],
])('%s is of %s', (address, country) => {
  expect(countryOf(address)).toBe(country);
});
