/** An IP network; of an address, the network of it alone. Bits after `length` are 0. */
export interface Prefix {
  readonly family: 4 | 6;
  /** 4 or 16. */
  readonly bytes: Uint8Array;
  readonly length: number;
}

const BITS = { 4: 32, 6: 128 } as const;

/** The length of an address of the family, bits. */
export const bitsOf = ({ family }: Pick<Prefix, 'family'>): number => BITS[family];

/** An IPv6 address that stands for one of IPv4 (RFC 4291 §2.5.5.2) is read as that. */
export function parseAddress(text: string): Prefix | undefined {
  const bytes = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  return bytes === undefined ? undefined : addressOf(bytes);
}

/** @param bytes 4 or 16 */
export function addressOf(bytes: Uint8Array): Prefix {
  if (bytes.length === 4) return { family: 4, bytes, length: 32 };
  const isMapped =
    bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((b) => b === 0);
  if (isMapped) return { family: 4, bytes: bytes.subarray(12), length: 32 };
  return { family: 6, bytes, length: 128 };
}

/** `192.0.2.0/24`, `2001:db8::/32` or an address; bits beyond the length are cleared. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address = '', length, ...more] = text.split('/');
  const parsed = parseAddress(address);
  if (parsed === undefined || more.length > 0) return undefined;
  if (length === undefined) return parsed;
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : Infinity;
  return bits <= parsed.length ? shortened(parsed, bits) : undefined;
}

/** The network of the first `length` bits. */
export function shortened(prefix: Prefix, length: number): Prefix {
  if (length >= prefix.length) return prefix;
  const bytes = prefix.bytes.map((byte, i) => {
    const kept = length - 8 * i;
    return kept >= 8 ? byte : kept <= 0 ? 0 : byte & (0xff << (8 - kept));
  });
  return { family: prefix.family, bytes, length };
}

/** The bit at `index`, the first being 0. */
export const bitAt = (bytes: Uint8Array, index: number): 0 | 1 =>
  (((bytes[index >> 3] ?? 0) >> (7 - (index & 7))) & 1) as 0 | 1;

/** The two halves of a network that is more than one address. */
export function halvesOf({ family, bytes, length }: Prefix): readonly [Prefix, Prefix] {
  const upper = Uint8Array.from(bytes);
  upper[length >> 3] = (upper[length >> 3] ?? 0) | (0x80 >> (length & 7));
  return [
    { family, bytes, length: length + 1 },
    { family, bytes: upper, length: length + 1 },
  ];
}

/** The other half of the network that is one bit shorter. */
export function siblingOf({ family, bytes, length }: Prefix): Prefix {
  const other = Uint8Array.from(bytes);
  const last = length - 1;
  other[last >> 3] = (other[last >> 3] ?? 0) ^ (0x80 >> (last & 7));
  return { family, bytes: other, length };
}

/** The address without its length. */
export function addressText({ family, bytes }: Prefix): string {
  if (family === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  ).join(':');
  // RFC 5952 §4.2: the longest run of zeros, where it is more than one.
  const runs = groups.match(/\b0(?::0)+\b/g) ?? [];
  const longest = runs.toSorted((a, b) => b.length - a.length)[0];
  if (longest === undefined) return groups;
  const at = groups.search(new RegExp(`(?<![0-9a-f])${longest}(?![0-9a-f])`));
  const [before, after] = [groups.slice(0, at), groups.slice(at + longest.length)];
  return `${before.replace(/:$/, '')}::${after.replace(/^:/, '')}`;
}

export const prefixText = (prefix: Prefix): string => `${addressText(prefix)}/${prefix.length}`;

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  const isValid =
    parts.length === 4 &&
    parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return isValid ? Uint8Array.from(parts, Number) : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const [head = '', tail, ...more] = text.split('::');
  if (more.length > 0) return undefined;
  const before = groupsOf(head, tail === undefined);
  const after = tail === undefined ? [] : groupsOf(tail, true);
  if (before === undefined || after === undefined) return undefined;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...before, ...Array.from({ length: missing }, () => 0), ...after];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** @param isEnd whether the address ends here, so that it may do so in IPv4's notation */
function groupsOf(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else {
      const ipv4 = isEnd && i === parts.length - 1 ? parseIpv4(part) : undefined;
      if (ipv4 === undefined) return undefined;
      const [a = 0, b = 0, c = 0, d = 0] = ipv4;
      groups.push((a << 8) | b, (c << 8) | d);
    }
  }
  return groups;
}
