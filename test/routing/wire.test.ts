import packet from 'dns-packet';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COOKIE_BYTES, Cookies } from '#control-plane/routing/dns/cookies.ts';
import { RateLimit } from '#control-plane/routing/dns/rate-limit.ts';
import { RCODE, TYPE } from '#control-plane/routing/dns/wire/codes.ts';
import { labelsOf } from '#control-plane/routing/dns/wire/names.ts';
import { readQuery } from '#control-plane/routing/dns/wire/query.ts';
import {
  type Envelope,
  type RecordData,
  type ResourceRecord,
  type Response,
  writeResponse,
} from '#control-plane/routing/dns/wire/response.ts';
import { prefixText } from '#control-plane/routing/engine/prefix.ts';
import { prefix } from './kit.ts';

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'));
const ttlSeconds = fc.nat(604_800);

const data: fc.Arbitrary<RecordData> = fc.oneof(
  fc.record({ type: fc.constant('A' as const), address: fc.ipV4() }),
  fc.record({ type: fc.constant('AAAA' as const), address: fc.ipV6() }),
  fc.record({ type: fc.constantFrom('CNAME' as const, 'NS' as const), target: name }),
  fc.record({ type: fc.constant('TXT' as const), text: fc.string({ maxLength: 600 }) }),
  fc.record({ type: fc.constant('HINFO' as const), cpu: label, os: label }),
  fc.record({
    type: fc.constant('CAA' as const),
    critical: fc.boolean(),
    tag: fc.constantFrom('issue', 'issuewild', 'iodef'),
    value: fc.stringMatching(/^[ -~]{0,100}$/),
  }),
  fc.record({
    type: fc.constant('SOA' as const),
    primary: name,
    mailbox: name,
    serial: fc.nat(4_294_967_295),
    refreshSeconds: fc.nat(4_294_967_295),
    retrySeconds: fc.nat(4_294_967_295),
    expireSeconds: fc.nat(4_294_967_295),
    negativeTtlSeconds: fc.nat(4_294_967_295),
  }),
);
const record: fc.Arbitrary<ResourceRecord> = fc.record({
  name: name.map(labelsOf),
  ttlSeconds,
  data,
});

/** What dns-packet reads of a record, in our words. */
function understood(answer: packet.Answer): unknown {
  if (!('data' in answer)) throw new Error('no data');
  const { type, data: read } = answer;
  switch (type) {
    case 'TXT':
      return {
        type,
        text: Buffer.concat([read].flat().map((part) => Buffer.from(part))).toString(),
      };
    case 'CAA':
      return {
        type,
        critical: Boolean(read.issuerCritical),
        tag: read.tag,
        value: texts(read.value),
      };
    case 'SOA':
      return {
        type,
        primary: read.mname,
        mailbox: read.rname,
        serial: read.serial,
        refreshSeconds: read.refresh,
        retrySeconds: read.retry,
        expireSeconds: read.expire,
        negativeTtlSeconds: read.minimum,
      };
    case 'HINFO':
      return { type, ...read };
    case 'A':
    case 'AAAA': {
      return { type, address: prefixText(prefix(read)) };
    }
    default:
      return { type, target: texts(read) };
  }
}

function texts(value: unknown): string {
  return (Array.isArray(value) ? value : [value]).map((part) => String(part)).join('');
}

function ours(entry: RecordData): unknown {
  if (entry.type !== 'A' && entry.type !== 'AAAA') return entry;
  return { type: entry.type, address: prefixText(prefix(entry.address)) };
}

const envelope = (question: string): Envelope => ({
  id: 4711,
  opcode: 0,
  recursionDesired: true,
  question: { labels: labelsOf(question), type: TYPE.A, class: 1 },
  edns: { payloadBytes: 1232, wantsDnssec: false, options: [] },
});

const answering = (answers: readonly ResourceRecord[]): Response => ({
  rcode: RCODE.NOERROR,
  isAuthoritative: true,
  answers,
  authorities: [],
  additional: [],
});

describe('writeResponse', () => {
  it('is read by dns-packet as it was meant, compression and all', () => {
    fc.assert(
      fc.property(name, fc.array(record, { maxLength: 8 }), (question, records) => {
        const message = writeResponse(envelope(question), answering(records), 65_535);
        const read = packet.decode(message);
        expect(read).toMatchObject({ id: 4711, type: 'response', rcode: 'NOERROR', flag_aa: true });
        expect(read.questions).toEqual([{ name: question, type: 'A', class: 'IN' }]);
        const told = (read.answers ?? []).map((answer) => ({
          name: answer.name,
          ttlSeconds: 'ttl' in answer ? answer.ttl : undefined,
          data: understood(answer),
        }));
        const meant = records.map((one) => ({
          name: one.name.join('.'),
          ttlSeconds: one.ttlSeconds,
          data: ours(one.data),
        }));
        expect(told).toEqual(meant);
      }),
    );
  });

  it('keeps to the limit, and says so where it could not', () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 20 }),
        fc.integer({ min: 200, max: 1500 }),
        (records, limit) => {
          const message = writeResponse(envelope('a.example'), answering(records), limit);
          expect(message.length).toBeLessThanOrEqual(limit);
          const read = packet.decode(message);
          expect(read.answers).toHaveLength(read.flag_tc ? 0 : records.length);
        },
      ),
    );
  });

  it('does not fail on what no message can hold', () => {
    const long: ResourceRecord = {
      name: ['a'],
      ttlSeconds: 0,
      data: { type: 'TXT', text: 'x'.repeat(60_000) },
    };
    const message = writeResponse(envelope('a'), answering([long, long]), 65_535);
    expect(packet.decode(message).flag_tc).toBe(true);
  });
});

describe('readQuery', () => {
  it('reads what dns-packet writes', () => {
    fc.assert(
      fc.property(
        name,
        fc.constantFrom('A', 'AAAA', 'TXT', 'HTTPS', 'ANY'),
        fc.nat(65_535),
        fc.ipV4(),
        fc.integer({ min: 0, max: 32 }),
        (asked, type, id, address, sourcePrefixLength) => {
          const subnet = prefix(`${address}/${sourcePrefixLength}`);
          const message = packet.encode({
            type: 'query',
            id,
            flags: packet.RECURSION_DESIRED,
            questions: [{ type: type as packet.RecordType, name: asked }],
            additionals: [
              {
                type: 'OPT',
                name: '.',
                udpPayloadSize: 1400,
                flags: packet.DNSSEC_OK,
                options: [
                  {
                    code: 'CLIENT_SUBNET',
                    family: 1,
                    ip: [...subnet.bytes].join('.'),
                    sourcePrefixLength,
                    scopePrefixLength: 0,
                  },
                ],
              },
            ] as unknown as packet.Answer[],
          });
          const query = readQuery(message);
          expect(query).toMatchObject({
            id,
            recursionDesired: true,
            question: { labels: asked.split('.') },
            edns: { version: 0, payloadBytes: 1400, wantsDnssec: true },
          });
          expect(query?.error).toBeUndefined();
          expect(query?.edns?.clientSubnet && prefixText(query.edns.clientSubnet)).toBe(
            prefixText(subnet),
          );
        },
      ),
    );
  });

  it('takes any bytes without failing, and answers no answer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const query = readQuery(Buffer.from(bytes));
        expect(query === undefined || (bytes[2] ?? 0) < 0x80).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it('takes a good query with any bytes changed', () => {
    const good = packet.encode({
      type: 'query',
      id: 1,
      questions: [{ type: 'A', name: 'www.film.example' }],
      additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232 }] as unknown as packet.Answer[],
    });
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 5 }), fc.nat(good.length), (changes, length) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        expect(() => readQuery(bytes.subarray(0, length))).not.toThrow();
      }),
      { numRuns: 5000 },
    );
  });

  const HEAD = '04d2010000010000000000';
  const QUESTION = '01610000010001';

  it.each([
    ['a subnet with too many octets', '0008000700011800c0000201', RCODE.FORMERR],
    ['a subnet with too few octets', '0008000600011800c000', RCODE.FORMERR],
    ['a bit beyond the prefix', '0008000700011700c00001', RCODE.FORMERR],
    ['a subnet with a scope', '0008000700011818c00002', RCODE.FORMERR],
    ['a family that is none', '0008000700031800c00002', RCODE.FORMERR],
    ['a prefix longer than an address', '0008000900012800c000020102', RCODE.FORMERR],
    ['two subnets', '00080004000100000008000400010000', RCODE.FORMERR],
    ['a cookie of nine bytes', '000a0009112233445566778899', RCODE.FORMERR],
    ['an option that is cut off', '000a0009112233', RCODE.FORMERR],
    ['a good subnet', '0008000700011800c00002', undefined],
    ['no network', '0008000400010000', undefined],
    ['an option that nobody knows', 'fde900021122', undefined],
  ])('%s', (_, options, error) => {
    const message = Buffer.from(`${HEAD}01${QUESTION}${opt(options)}`, 'hex');
    expect(readQuery(message)?.error).toBe(error);
  });

  it.each([
    ['two questions', '04d201000002000000000000' + QUESTION + QUESTION, RCODE.FORMERR],
    ['no question', '04d201000000000000000000', RCODE.FORMERR],
    ['an update', '04d228000001000000000000' + QUESTION, RCODE.NOTIMP],
    ['a pointer to itself', '04d201000001000000000000c00c00010001', RCODE.FORMERR],
    ['a label that is cut off', '04d2010000010000000000003f61', RCODE.FORMERR],
    ['bytes after the end', '04d201000001000000000000' + QUESTION + '00', RCODE.FORMERR],
    ['another class', '04d20100000100000000000001610000010003', RCODE.REFUSED],
    [
      'version 1 of EDNS',
      '04d201000001000000000001' + QUESTION + '0000291000000100000000',
      RCODE.BADVERS,
    ],
  ])('%s', (_, hex, error) => {
    expect(readQuery(Buffer.from(hex, 'hex'))?.error).toBe(error);
  });
});

// RFC 9018, appendix A.
describe('Cookies', () => {
  const cases = [
    {
      client: '2464c4abcf10c957',
      address: '198.51.100.100',
      secret: 'e5e973e5a6b2a43f48e7dc849e37bfcf',
      seconds: 1_559_731_985,
      server: '010000005cf79f111f8130c3eee29480',
    },
    {
      client: '22681ab97d52c298',
      address: '2001:db8:220:1:59de:d0f4:8769:82b8',
      secret: 'dd3bdf9344b678b185a6f5cb60fca715',
      seconds: 1_559_741_817,
      server: '010000005cf7c57926556bd0934c72f8',
    },
  ];

  it.each(cases)(
    'makes the RFC’s cookie for $address',
    ({ client, address, secret, seconds, server }) => {
      const cookies = new Cookies(Buffer.from(secret, 'hex'));
      const asked = { client: Buffer.from(client, 'hex') };
      const { bytes } = prefix(address);
      const answer = Buffer.alloc(COOKIE_BYTES);
      cookies.write(asked, bytes, seconds * 1000, answer, 0);
      expect(answer.toString('hex')).toBe(client + server);
      const proof = { ...asked, server: Buffer.from(server, 'hex') };
      const proves = (nowSeconds: number, from = bytes): boolean =>
        cookies.proves(proof, from, nowSeconds * 1000);
      expect(proves(seconds + 3600)).toBe(true);
      expect(proves(seconds + 3601)).toBe(false);
      expect(proves(seconds - 300)).toBe(true);
      expect(proves(seconds - 301)).toBe(false);
      expect(proves(seconds, prefix('198.51.100.101').bytes)).toBe(false);
      expect(cookies.proves({ ...asked, server: Buffer.alloc(16, 1) }, bytes, 0)).toBe(false);
      expect(cookies.proves(asked, bytes, 0)).toBe(false);
    },
  );
});

describe('RateLimit', () => {
  it('lets a network have so many answers a second, then slips every second one', () => {
    const limit = new RateLimit(3);
    const verdicts = (count: number, nowMs: number, address = '192.0.2.1') =>
      Array.from({ length: count }, () => limit.take(prefix(address), nowMs));
    expect(verdicts(7, 0)).toEqual([
      'send',
      'send',
      'send',
      'drop',
      'truncate',
      'drop',
      'truncate',
    ]);
    expect(verdicts(1, 0, '192.0.2.99')).toEqual(['drop']);
    expect(verdicts(1, 0, '192.0.3.1')).toEqual(['send']);
    expect(verdicts(2, 334)).toEqual(['send', 'truncate']);
    expect(verdicts(4, 10_000).filter((verdict) => verdict === 'send')).toHaveLength(3);
  });

  it('has no limit at 0', () => {
    const limit = new RateLimit(0);
    expect(Array.from({ length: 1000 }, () => limit.take(prefix('::1'), 0))).not.toContain('drop');
  });
});

/** An OPT record. @param options hexadecimal */
function opt(options: string): string {
  const length = (options.length / 2).toString(16).padStart(4, '0');
  return `000029100000000000${length}${options}`;
}
