import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readLogLine } from '#cli/simulate/log-line.ts';
import { truncateAddress } from '#core/telemetry/access-log/address.ts';
import { AccessEntry } from '#core/telemetry/access-log/entry.ts';
import {
  combinedLine,
  FORMATS,
  jsonLine,
  MAX_LINE_BYTES,
} from '#core/telemetry/access-log/format.ts';
import { maskOf } from '#core/telemetry/access-log/mask.ts';

const PLACE = { node: 'edge-oslo', location: 'oslo' };
const entry = (of: Partial<AccessEntry> = {}): AccessEntry =>
  Object.assign(new AccessEntry(), {
    timeMs: Date.UTC(2026, 10, 7, 5, 4, 3, 21),
    client: '203.0.113.7',
    method: 'GET',
    host: 'www.example.org',
    target: '/a?b=1',
    status: 200,
    bytesSent: 1024,
    firstByteMs: 0.0514,
    durationMs: 12.3,
    detail: 'fresh',
    cache: 'hit',
    ...of,
  } satisfies Partial<AccessEntry>);

describe('a line in JSON', () => {
  test('has what is known, and nothing of what is not', () => {
    expect(JSON.parse(jsonLine(entry(), PLACE))).toEqual({
      time: '2026-11-07T05:04:03.021Z',
      node: 'edge-oslo',
      location: 'oslo',
      client: '203.0.113.7',
      method: 'GET',
      scheme: 'http',
      host: 'www.example.org',
      target: '/a?b=1',
      protocol: 'HTTP/1.1',
      status: 200,
      bytesSent: 1024,
      firstByteMs: 0.051,
      durationMs: 12.3,
      end: 'complete',
      cache: 'hit',
      detail: 'fresh',
    });
  });

  test('has all there is', () => {
    const whole = entry({
      scheme: 'https',
      httpVersion: '2.0',
      requestBytes: 0,
      referer: 'https://ref.example/',
      userAgent: 'Agent/1',
      requestId: 'r-1',
      traceparent: '00-1-2-01',
      end: 'aborted',
      site: 'shop',
      cache: 'miss',
      fwd: 'uri-miss',
      fwdStatus: 200,
      stored: true,
      collapsed: true,
      ttlSeconds: -5,
      detail: 'uri-miss',
      parent: 'mid-tier-london',
      tls: 'TLSv1.3',
      sample: 0.25,
    });
    const line = jsonLine(whole, { node: 'edge', location: '' });
    expect(JSON.parse(line)).toMatchObject({
      scheme: 'https',
      protocol: 'HTTP/2.0',
      requestBytes: 0,
      referer: 'https://ref.example/',
      userAgent: 'Agent/1',
      requestId: 'r-1',
      traceparent: '00-1-2-01',
      end: 'aborted',
      site: 'shop',
      fwd: 'uri-miss',
      fwdStatus: 200,
      stored: true,
      collapsed: true,
      ttlSeconds: -5,
      parent: 'mid-tier-london',
      tls: 'TLSv1.3',
      sample: 0.25,
    });
    expect(line).not.toContain('location');
  });
});

describe('a line in Combined Log Format', () => {
  test.each<[string, Partial<AccessEntry>, string]>([
    [
      'a hit',
      { referer: 'https://ref.example/', userAgent: 'Agent/1 (x)' },
      '203.0.113.7 - - [07/Nov/2026:05:04:03 +0000] "GET /a?b=1 HTTP/1.1" 200 1024 "https://ref.example/" "Agent/1 (x)"\n',
    ],
    [
      'nothing sent, nothing said of the client',
      { client: '', bytesSent: 0, status: 304, httpVersion: '2.0' },
      '- - - [07/Nov/2026:05:04:03 +0000] "GET /a?b=1 HTTP/2.0" 304 - "-" "-"\n',
    ],
    [
      'what could not be read',
      { method: '', target: '', host: '', status: 400 },
      '203.0.113.7 - - [07/Nov/2026:05:04:03 +0000] "-" 400 1024 "-" "-"\n',
    ],
  ])('%s', (_title, of, line) => {
    expect(combinedLine(entry(of), PLACE)).toBe(line);
  });
});

// What clients write into their requests ends neither a text nor a line (CWE-117).
describe('no request forges a line', () => {
  test.each<[string, string, string, string]>([
    ['a line break', 'a\r\nb', String.raw`a\u000d\u000ab`, String.raw`a\x0d\x0ab`],
    ['quotes', 'a" 200 "b', String.raw`a\u0022 200 \u0022b`, String.raw`a\x22 200 \x22b`],
    ['a backslash before the end', 'a\\', String.raw`a\u005c`, String.raw`a\x5c`],
    ['NUL and escape', 'a\0\x1b[2J', String.raw`a\u0000\u001b[2J`, String.raw`a\x00\x1b[2J`],
    ['bytes that are no UTF-8', 'a\xff\xc3', String.raw`a\u00ff\u00c3`, String.raw`a\xff\xc3`],
    ['DEL', 'a\x7f', String.raw`a\u007f`, String.raw`a\x7f`],
  ])('%s', (_title, given, inJson, inCombined) => {
    const of = entry({ userAgent: given });
    expect(jsonLine(of, PLACE)).toContain(`"userAgent":"${inJson}"`);
    expect(combinedLine(of, PLACE)).toMatch(/ "[^"]*"\n$/);
    expect(combinedLine(of, PLACE)).toContain(` "${inCombined}"\n`);
  });

  test('a space in the target is none in the line', () => {
    const line = combinedLine(entry({ target: '/a HTTP/1.1" 200 1 "-" "b', method: 'G T' }), PLACE);
    expect(line).toContain(
      String.raw`"G\x20T /a\x20HTTP/1.1\x22\x20200\x201\x20\x22-\x22\x20\x22b HTTP/1.1" 200 1024`,
    );
  });

  const bytes = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)),
  });

  test('whatever bytes they are, a line is one line and says what was sent', () => {
    fc.assert(
      fc.property(bytes, bytes, bytes, bytes, bytes, (target, userAgent, referer, host, client) => {
        const of = entry({ target, userAgent, referer, host, client });
        const json = jsonLine(of, PLACE);
        expect(json).toMatch(/^[\x20-\x7e]+\n$/);
        const parsed = JSON.parse(json) as Record<string, string>;
        for (const [name, text] of Object.entries({ target, userAgent, referer, host, client })) {
          expect(parsed[name] ?? '').toBe(text);
        }
        const combined = combinedLine(of, PLACE);
        expect(combined).toMatch(
          /^[\x21-\x7e]+ - - \[[^\]]+\] "GET [\x21-\x7e]* HTTP\/1\.1" 200 1024 "[\x20-\x7e]+" "[\x20-\x7e]+"\n$/,
        );
        expect(combined.match(/"/g)).toHaveLength(6);
      }),
    );
  });

  test.each(['json', 'combined'] as const)(
    'nor does a long one become a long line: %s',
    (format) => {
      const long = '\xff'.repeat(100_000);
      const texts = {
        target: long,
        host: long,
        referer: long,
        userAgent: long,
        method: long,
        client: long,
        requestId: long,
        traceparent: long,
        parent: long,
        detail: long,
      };
      const line = FORMATS[format](entry(texts), PLACE);
      expect(line.length).toBeLessThan(MAX_LINE_BYTES);
      expect(line).not.toMatch(/\n./);
    },
  );
});

test('canopy simulate reads both', () => {
  const of = entry({ target: '/a"b c', bytesSent: 7 });
  expect(readLogLine(jsonLine(of, PLACE).trimEnd())).toEqual({
    key: 'www.example.org/a"b c',
    bytes: 7,
  });
  expect(readLogLine(combinedLine(of, PLACE).trimEnd())).toEqual({
    key: String.raw`/a\x22b\x20c`,
    bytes: 7,
  });
});

test.each([
  ['203.0.113.77', '203.0.113.0'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1::'],
  ['2001:db8::7', '2001:db8::'],
  ['2001:db8:0:1::', '2001:db8::'],
  ['2001:0db8:000a::1', '2001:db8:a::'],
  ['::1', '::'],
  ['::', '::'],
  ['1::', '1::'],
  ['::2:3:4:5:6:7', '0:0:2::'],
  ['64:ff9b::203.0.113.77', '64:ff9b::'],
  ['fe80::1%eth0', 'fe80::'],
  ['no address', ''],
  ['', ''],
])('of %o, %o is the network', (address, network) => {
  expect(truncateAddress(address)).toBe(network);
});

describe('query parameters that are masked', () => {
  const mask = maskOf(['token', 'Signature', 'a b']);
  test.each([
    ['/a', '/a'],
    ['/a?token=secret', '/a?token=***'],
    ['/a?x=1&token=secret&y=2', '/a?x=1&token=***&y=2'],
    ['/a?TOKEN=secret;signature=s#f', '/a?TOKEN=***;signature=***#f'],
    ['/a?%74oken=secret', '/a?%74oken=***'],
    ['/a?%54OKEN=secret=more', '/a?%54OKEN=***'],
    ['/a?a+b=1&a%20b=2', '/a?a+b=***&a%20b=***'],
    ['/a?tokens=1&xtoken=2', '/a?tokens=1&xtoken=2'],
    ['/a?token', '/a?token'],
    ['/a?x=?token=secret', '/a?x=?token=***'],
    ['https://x.test/?u=1&token=s', 'https://x.test/?u=1&token=***'],
    ['/token=1', '/token=1'],
    ['/a?%zz=1&token=s', '/a?%zz=1&token=***'],
  ])('%s', (url, masked) => {
    expect(mask?.(url)).toBe(masked);
  });

  test('are none where none are named', () => {
    expect(maskOf([])).toBeUndefined();
  });
});
