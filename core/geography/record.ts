import type { Response } from 'maxmind';

/** What a database says of a network, whoever made it. */
export interface GeoRecord {
  /** Two capital letters. */
  readonly country?: string;
  readonly asn?: number;
  readonly point?: { readonly latitude: number; readonly longitude: number };
  /** The client is within so many kilometres of the point. */
  readonly radiusKm?: number;
}

/** Of a city whose database gives no radius. */
const CITY_RADIUS_KM = 50;

/** The fields of MaxMind's databases, of DB-IP's, which have the same, and the flat ones of ip-location-db. */
export function readRecord(response: Response | null): GeoRecord {
  const record = asRecord(response);
  const location = asRecord(record['location']);
  const country =
    text(asRecord(record['country'])['iso_code']) ??
    text(asRecord(record['registered_country'])['iso_code']) ??
    text(record['country_code']);
  const asn = number(record['autonomous_system_number']);
  const latitude = number(location['latitude'] ?? record['latitude']);
  const longitude = number(location['longitude'] ?? record['longitude']);
  const hasPoint = latitude !== undefined && longitude !== undefined;
  return {
    ...(country !== undefined && /^[A-Z]{2}$/.test(country) && { country }),
    ...(asn !== undefined && { asn }),
    ...(hasPoint && {
      point: { latitude, longitude },
      radiusKm: number(location['accuracy_radius']) ?? CITY_RADIUS_KM,
    }),
  };
}

const asRecord = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;
/** Some databases keep numbers as text. */
const number = (value: unknown): number | undefined => {
  const read = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof read === 'number' && Number.isFinite(read) ? read : undefined;
};
