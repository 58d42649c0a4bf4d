import { z } from 'zod';

/** ISO 3166-1 alpha-2. */
export const countrySchema = z.string().regex(/^[A-Z]{2}$/, 'two capital letters such as DE');

const NETWORK = { error: 'a network such as 192.0.2.0/24' };

/** A network, as `192.0.2.0/24` or `2001:db8::/32`. */
export const networkSchema = z.union([z.cidrv4(NETWORK), z.cidrv6(NETWORK)]);
