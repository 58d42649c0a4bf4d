import { parsePrefix, type Prefix } from '../engine/prefix.ts';
import { PrefixTable } from '../engine/prefix-table.ts';

/** Networks that are nowhere in particular (RFC 6890 and the registries it began). */
const SPECIAL = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '::/8',
  '100::/8',
  '2001:db8::/32',
  '3fff::/20',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
];

const table = new PrefixTable(
  SPECIAL.flatMap((text) => {
    const prefix = parsePrefix(text);
    return prefix === undefined ? [] : [[prefix, true] as const];
  }),
);

/** Whether `address` is private, reserved or otherwise nowhere, and how many of its bits say so. */
export function specialAt(address: Prefix): {
  readonly isSpecial: boolean;
  readonly length: number;
} {
  const { values, length } = table.match(address);
  return { isSpecial: values.length > 0, length };
}
