import { isIPv4, isIPv6 } from 'node:net';

/** How much of clients' addresses an access log has. */
export const ADDRESS_PARTS = ['whole', 'truncated', 'none'] as const;
export type AddressPart = (typeof ADDRESS_PARTS)[number];

/** The network of a client: /24 of an IPv4 address, /48 of an IPv6 address; `''` for what is neither. */
export function truncateAddress(address: string): string {
  if (isIPv4(address)) return `${address.slice(0, address.lastIndexOf('.'))}.0`;
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return '';
  const [before = '', after] = plain.split('::');
  // IPv4 at the end stands for two groups; the first three are before it whatever is left out.
  const head = groupsOf(before);
  const tail = groupsOf(after ?? '').flatMap((group) => (group.includes('.') ? ['0', '0'] : group));
  const left = after === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...Array.from({ length: left }, () => '0'), ...tail].slice(0, 3);
  const values = groups.map((group) => Number.parseInt(group, 16));
  while (values.at(-1) === 0) values.pop();
  return `${values.map((value) => value.toString(16)).join(':')}::`;
}

const groupsOf = (part: string): readonly string[] => (part === '' ? [] : part.split(':'));
