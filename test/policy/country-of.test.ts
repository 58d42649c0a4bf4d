import { expect, test } from 'vitest';
import { countryOf } from '#core/geography/country-of.ts';
import { NodeGeography } from '#core/geography/node-geography.ts';
import { mmdb } from '#test/routing/mmdb.ts';

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

test('an edge believes its databases in their order, then the registries, and takes up new ones', () => {
  const asns = {
    file: 'asn',
    content: mmdb({ '127.0.0.0/8': { autonomous_system_number: 64_496 } }),
  };
  const places = mmdb({ '127.0.0.0/8': { country: { iso_code: 'NO' } } });
  const geography = new NodeGeography([asns, { file: 'country', content: places }]);
  expect(geography.asnOf('127.0.0.1')).toBe(64_496);
  expect(geography.asnOf('::ffff:127.0.0.1')).toBe(64_496);
  expect(geography.asnOf('192.0.2.1')).toBeUndefined();
  expect(geography.asnOf('unknown')).toBeUndefined();
  expect(geography.countryOf('127.0.0.1')).toBe('NO');
  expect(geography.countryOf('81.2.69.160')).toBe('GB');
  const content = mmdb({ '127.0.0.0/8': { autonomous_system_number: 64_497 } });
  geography.renew({ file: 'asn', content });
  expect(geography.asnOf('127.0.0.1')).toBe(64_497);
});
