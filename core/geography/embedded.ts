import { createRequire } from 'node:module';
import { GeoDatabase } from './database.ts';

let embedded: GeoDatabase | undefined;

/** The countries of the world's networks, by the registries' own word; read when it is first wanted. */
export function embeddedCountries(): GeoDatabase {
  embedded ??= GeoDatabase.open(
    createRequire(import.meta.url).resolve(
      '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb',
    ),
  );
  return embedded;
}
