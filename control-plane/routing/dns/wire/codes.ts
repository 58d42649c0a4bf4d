/** Types of records (RFC 1035 §3.2.2 and the registry), those that the routers know by name. */
export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  HINFO: 13,
  TXT: 16,
  AAAA: 28,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  SVCB: 64,
  HTTPS: 65,
  /** In an NSEC record: the name does not exist (RFC 9824 §4). */
  NXNAME: 128,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

export const CLASS_IN = 1;

/** RFC 1035 §4.1.1, RFC 6891 §9, RFC 7873 §8. */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
  BADCOOKIE: 23,
} as const;

export type Rcode = (typeof RCODE)[keyof typeof RCODE];
export type RcodeName = keyof typeof RCODE;

/** EDNS options. */
export const OPTION = { NSID: 3, CLIENT_SUBNET: 8, COOKIE: 10 } as const;

/** The type's name for people: `TYPE4711` where it has none here (RFC 3597 §5). */
export const typeName = (type: number): string => TYPE_NAMES.get(type) ?? `TYPE${type}`;
const TYPE_NAMES = new Map<number, string>(
  Object.entries(TYPE).map(([name, type]) => [type, name]),
);

const RCODE_NAMES = new Map<number, RcodeName>(
  Object.entries(RCODE).map(([name, code]) => [code, name as RcodeName]),
);
export const rcodeName = (rcode: Rcode): RcodeName => RCODE_NAMES.get(rcode) ?? 'SERVFAIL';
