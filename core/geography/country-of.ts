import { isIP } from 'node:net';
import { embeddedCountries } from './embedded.ts';

/** The country of an address, two capital letters; `undefined` for one that no registry has given out. */
export function countryOf(address: string): string | undefined {
  const bare = address.replace(/%.*/, '').replace(/^::ffff:(?=[\d.]+$)/i, '');
  return isIP(bare) === 0 ? undefined : embeddedCountries().match(bare).record.country;
}
