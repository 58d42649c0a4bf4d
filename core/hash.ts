/**
 * 32 well-spread bits of `texts` one after the other: FNV-1a over UTF-16 code units, then the
 * finaliser of MurmurHash3, for FNV alone leaves the high bits of similar texts alike. The same on
 * every node, so that tiers and threads agree. Not for secrets.
 */
export function hash32(...texts: readonly string[]): number {
  let hash = 0x811c9dc5;
  for (const text of texts) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
