import { assert, asyncProperty, integer } from 'fast-check';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { duplexPair } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endToEndFields } from '#core/http/fields.ts';
import { PlainRequest, SAYS } from '#edge/lane/recogniser.ts';
import { mutants, REQUESTS } from './corpus.ts';

// What the recogniser takes for a plain request, Node's own parser takes for the same request, with
// its end at the same byte and no content.

const SEEDS = 150;
const MUTANTS = 2000;

let server: Server;
let seen: IncomingMessage[] = [];
let errors: Error[] = [];
beforeAll(() => {
  server = createServer({ requireHostHeader: false }, (incoming, outgoing) => {
    seen.push(incoming);
    outgoing.end();
  });
  for (const event of ['upgrade', 'connect', 'checkContinue', 'checkExpectation']) {
    server.on(event, () => errors.push(new Error(event)));
  }
  server.on('clientError', (error) => errors.push(error));
});
afterAll(() => void server.close());

/** What node:http makes of bytes that come at once on one connection. */
async function parsed(bytes: Buffer): Promise<readonly IncomingMessage[]> {
  [seen, errors] = [[], []];
  const [client, connection] = duplexPair();
  client.resume();
  server.emit('connection', connection);
  client.end(bytes);
  await new Promise((resolve) => void connection.once('close', resolve));
  expect(errors).toEqual([]);
  return seen;
}

interface Taken {
  readonly text: string;
  readonly target: string;
  readonly host: string;
  readonly isHead: boolean;
  readonly says: number;
  readonly conditions: readonly string[];
  readonly acceptEncoding: string | undefined;
  readonly fields: readonly string[];
}

const nameAndValue = (line: string): readonly string[] =>
  (/^(.*?):[ \t]*(.*?)[ \t]*$/.exec(line) ?? []).slice(1);

const STALE = '\r\nHost: stale\r\n\r\nGET /stale HTTP/1.1\r\nHost: stale\r\n\r\n';

function taken(text: string): Taken | undefined {
  const request = new PlainRequest();
  // Behind what has come is what was there before.
  const bytes = Buffer.from(text + STALE, 'latin1');
  const isPlain = request.read(bytes, 0, text.length) === 'plain';
  const isPlainAlone = new PlainRequest().read(bytes.subarray(0, text.length), 0) === 'plain';
  if (isPlainAlone !== isPlain) throw new Error(`What is behind it matters: ${text}`);
  if (!isPlain) return undefined;
  const { target, host, isHead, says, conditions, end } = request;
  const isOne = (says & SAYS.manyCodings) === 0;
  return {
    text: text.slice(0, end),
    target,
    host,
    isHead,
    says,
    conditions: conditions.split('\r\n').slice(0, -1).flatMap(nameAndValue),
    acceptEncoding: isOne ? request.acceptEncoding : undefined,
    fields: request.fields(),
  };
}

const CONDITIONS = [
  'if-none-match',
  'if-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
];

const says = ({ headers, headersDistinct }: IncomingMessage): number => {
  const codings = headersDistinct['accept-encoding']?.length ?? 0;
  const has = (...names: string[]): boolean => names.some((name) => headers[name] !== undefined);
  return (
    (has(...CONDITIONS) ? SAYS.conditions : 0) |
    (has('cache-control', 'pragma') ? SAYS.cacheControl : 0) |
    (codings > 0 ? SAYS.codings : 0) |
    (codings > 1 ? SAYS.manyCodings : 0)
  );
};

const conditions = ({ rawHeaders }: IncomingMessage): readonly string[] =>
  rawHeaders.filter((_, i) => CONDITIONS.includes((rawHeaders[i - (i % 2)] ?? '').toLowerCase()));

const onlyOf = (lines: readonly string[] = []): string | undefined =>
  lines.length === 1 ? lines[0] : undefined;

async function expectAlike(all: readonly Taken[]): Promise<void> {
  const incoming = await parsed(Buffer.from(all.map(({ text }) => text).join(''), 'latin1'));
  expect(incoming.length).toBe(all.length);
  for (const [i, one] of incoming.entries()) {
    const { text } = all[i] as Taken;
    const theirs = {
      text,
      target: one.url,
      host: one.headers.host,
      isHead: one.method === 'HEAD',
      says: says(one),
      conditions: conditions(one),
      acceptEncoding: onlyOf(one.headersDistinct['accept-encoding']),
      fields: endToEndFields(one.rawHeaders),
    };
    expect(all[i]).toEqual(theirs);
    expect([one.httpVersion, one.complete, one.headers['content-length']]).toEqual([
      '1.1',
      true,
      undefined,
    ]);
    expect(one.headers['transfer-encoding']).toBeUndefined();
  }
}

test('what is recognised is to Node the same request, and no more than that', async () => {
  let count = 0;
  await assert(
    asyncProperty(integer({ min: 0, max: 2 ** 31 }), async (seed) => {
      const all = [...mutants(seed, MUTANTS)].flatMap((text) => taken(text) ?? []);
      count += all.length;
      await expectAlike(all);
    }),
    { numRuns: SEEDS, examples: [[0], [1], [2]] },
  );
  // The mutations are no more than mild: much of it has to be recognised for this to tell anything.
  expect(count).toBeGreaterThan(SEEDS * MUTANTS * 0.2);
});

test('of a request that is cut anywhere, the beginning is incomplete and nothing else', () => {
  for (const text of REQUESTS) {
    const bytes = Buffer.from(text, 'latin1');
    const request = new PlainRequest();
    expect(request.read(bytes, 0)).toBe('plain');
    expect(request.end).toBe(bytes.length);
    for (let length = 0; length < bytes.length; length++) {
      expect(request.read(bytes.subarray(0, length), 0)).toBe('incomplete');
      expect(request.read(bytes, 0, length)).toBe('incomplete');
    }
  }
});

test.each([
  ['another method', 'POST / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['content', 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'],
  ['chunks', 'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['no host', 'GET / HTTP/1.1\r\nAccept: */*\r\n\r\n'],
  ['two hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'],
  ['absolute-form', 'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a fragment', 'GET /#a HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a bare LF', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['a bare CR', 'GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n'],
  ['a folded line', 'GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n'],
  ['space before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
  ['an octet beyond ASCII', 'GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n'],
  ['NUL', 'GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n'],
  ['a wish for the end', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
  ['a field named by Connection', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nX: b\r\n\r\n'],
  ['an upgrade', 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n'],
  ['an expectation', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n'],
  ['a field of tiers', 'GET / HTTP/1.1\r\nHost: a\r\ncanopy-Fence: 3\r\n\r\n'],
  ['too many lines', `GET / HTTP/1.1\r\nHost: a\r\n${'X: b\r\n'.repeat(101)}\r\n`],
  ['a long target', `GET /${'a'.repeat(5000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['a long line that has no end', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}`],
])('%s is left to others', (_, text) => {
  expect(new PlainRequest().read(Buffer.from(text, 'latin1'), 0)).toBe('foreign');
});
