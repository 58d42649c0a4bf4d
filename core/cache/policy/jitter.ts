import { hash32 } from '#core/hash.ts';

/**
 * The part of its freshness that an object gives up, so that objects stored at once do not expire
 * at once: evenly spread over keys, the same for one key in every tier.
 * @param fraction the most that is given up, from 0 (nothing) to 1
 */
export function jitter(key: string, fraction: number): number {
  if (fraction === 0) return 0;
  return (fraction * hash32(key)) / 2 ** 32;
}
