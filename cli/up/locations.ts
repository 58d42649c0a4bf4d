import type { Location } from '#core/contract/node.ts';

const city = (name: string, latitude: number, longitude: number, country: string): Location => ({
  name,
  latitude,
  longitude,
  country,
});

/** Where `canopy up` pretends its nodes stand, in the order they are taken. */
export const EDGE_LOCATIONS: readonly Location[] = [
  city('oslo', 59.91, 10.75, 'NO'),
  city('rome', 41.9, 12.5, 'IT'),
  city('lisbon', 38.72, -9.14, 'PT'),
  city('warsaw', 52.23, 21.01, 'PL'),
  city('athens', 37.98, 23.73, 'GR'),
  city('dublin', 53.35, -6.26, 'IE'),
  city('new-york', 40.71, -74.01, 'US'),
  city('tokyo', 35.68, 139.69, 'JP'),
  city('sydney', -33.87, 151.21, 'AU'),
  city('sao-paulo', -23.55, -46.63, 'BR'),
  city('nairobi', -1.29, 36.82, 'KE'),
  city('mumbai', 19.08, 72.88, 'IN'),
];

export const MID_TIER_LOCATIONS: readonly Location[] = [
  city('frankfurt', 50.11, 8.68, 'DE'),
  city('london', 51.51, -0.13, 'GB'),
  city('ashburn', 39.04, -77.49, 'US'),
  city('singapore', 1.35, 103.82, 'SG'),
];

export const ORIGIN_LOCATION: Location = city('amsterdam', 52.37, 4.9, 'NL');
