/**
 * The part of its freshness that an object gives up, so that objects stored at once do not expire
 * at once: evenly spread over keys, the same for one key in every tier.
 * @param fraction the most that is given up, from 0 (nothing) to 1
 */
export function jitter(key: string, fraction: number): number {
  if (fraction === 0) return 0;
  // FNV-1a, then a finaliser: similar keys would share their high bits.
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash ^= hash >>> 13;
  return (fraction * (hash >>> 0)) / 2 ** 32;
}
