import type { Node } from './node.ts';

/** The addresses under which the world finds a node: those it was given, else that of its URL. */
export function addressesOf({
  addresses,
  url,
}: Pick<Node, 'addresses' | 'url'>): readonly string[] {
  if (addresses !== undefined) return addresses;
  const host = new URL(url).hostname;
  if (host.startsWith('[')) return [host.slice(1, -1)];
  return /^[\d.]+$/.test(host) ? [host] : [];
}

export const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);
