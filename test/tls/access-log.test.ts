import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectPlain } from 'node:net';
import { text } from 'node:stream/consumers';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import type { LogSettings } from '#core/contract/log.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { type LogContent, ThreadLog } from '#core/telemetry/access-log/thread-log.ts';
import { eventually } from '#test/eventually.ts';
import { type Issued, TestAuthority } from './authority.ts';
import { ask, HOST, TlsEdge } from './edge.ts';

// What an edge writes down of requests on real connections.

let root: TestAuthority;
let www: Issued;
beforeAll(async () => {
  root = await TestAuthority.create();
  www = await root.issue({ names: [HOST] });
});

type Line = Readonly<Record<string, unknown>>;

async function started(
  options: Parameters<typeof TlsEdge.start>[0] = {},
  content: Partial<LogContent> = {},
) {
  const lines: string[] = [];
  const accessLog: ThreadLog = new ThreadLog({
    content: { format: 'json', sample: 1, addresses: 'whole', mask: [], ...content },
    node: 'oslo',
    post: ({ memory, bytes }) => {
      lines.push(...Buffer.from(memory, 0, bytes).toString().trimEnd().split('\n'));
      accessLog.returned(memory);
    },
  });
  const edge = await TlsEdge.start({ ...options, accessLog });
  edge.certify('www', www);
  /** The lines so far, once there are so many: a request is written down when it is over. */
  const logged = async (count: number): Promise<readonly Line[]> => {
    await eventually(() => {
      accessLog.flush();
      expect(lines).toHaveLength(count);
    });
    return lines.map((line) => JSON.parse(line) as Line);
  };
  return { edge, lines, logged };
}

/** Sends bytes as they are; what came by the end of the connection. */
async function sent(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connectPlain({ host: hostname, port: Number(port) });
  onTestFinished(() => void socket.destroy());
  socket.write(Buffer.from(bytes, 'latin1'));
  return text(socket);
}

const request = (target: string, ...fields: readonly string[]): string =>
  `${[`GET ${target} HTTP/1.1`, `Host: ${HOST}`, 'Connection: close', ...fields].join('\r\n')}\r\n\r\n`;

test('the same words as Cache-Status and metrics: a miss, then a hit', async () => {
  const { edge, logged } = await started();
  for (let i = 0; i < 2; i++) await sent(edge.plainUrl, request('/a?b=1'));
  const [miss, hit] = await logged(2);
  expect(miss).toMatchObject({
    node: 'oslo',
    site: 'site',
    client: '127.0.0.1',
    method: 'GET',
    scheme: 'http',
    host: HOST,
    target: '/a?b=1',
    protocol: 'HTTP/1.1',
    status: 200,
    bytesSent: 5,
    end: 'complete',
    cache: 'miss',
    fwd: 'uri-miss',
    fwdStatus: 200,
    stored: true,
    detail: 'uri-miss',
    parent: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as unknown,
  });
  expect(hit).toMatchObject({
    cache: 'hit',
    detail: 'fresh',
    ttlSeconds: expect.any(Number) as unknown,
  });
  for (const name of ['fwd', 'fwdStatus', 'stored', 'parent', 'tls', 'referer', 'sample']) {
    expect(hit).not.toHaveProperty(name);
  }
  expect(Math.abs(Date.parse(String(hit?.['time'])) - Date.now())).toBeLessThan(86_400_000);
  expect(hit?.['durationMs']).toBeGreaterThanOrEqual(Number(hit?.['firstByteMs']));
});

test('what clients send, but never what proves who they are', async () => {
  const { edge, lines, logged } = await started({}, { mask: ['token'] });
  const secrets = ['Cookie: id=secret', 'Authorization: Bearer secret', 'X-Api-Key: secret'];
  await sent(
    edge.plainUrl,
    request(
      '/a?token=secret&x=1',
      ...secrets,
      'Referer: https://x.test/?token=secret',
      'User-Agent: "Agent" \\ \xff\xfe',
      'X-Request-Id: r-7',
      'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    ),
  );
  const [line] = await logged(1);
  expect(lines.join('')).not.toContain('secret');
  expect(line).toMatchObject({
    target: '/a?token=***&x=1',
    referer: 'https://x.test/?token=***',
    userAgent: '"Agent" \\ \xff\xfe',
    requestId: 'r-7',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  });
});

test('HTTP/2 and the version of TLS; handshakes are counted, the failed ones too', async () => {
  const { edge, logged } = await started();
  const client = connectHttp2(`https://127.0.0.1:${edge.port}`, { servername: HOST, ca: root.ca });
  client.on('error', () => undefined);
  onTestFinished(() => client.destroy());
  const stream = client.request({ ':path': '/two', ':authority': HOST, ':method': 'POST' });
  stream.end('content');
  await once(stream, 'response');
  await text(stream);
  const [one] = await logged(1);
  expect(one).toMatchObject({
    protocol: 'HTTP/2.0',
    scheme: 'https',
    host: HOST,
    target: '/two',
    tls: 'TLSv1.3',
    cache: 'pass',
    fwd: 'method',
  });

  const old = { servername: HOST, ca: root.ca, maxVersion: 'TLSv1.2' as const };
  const first = await edge.connect(old);
  const session = first.getSession();
  await ask(first);
  await ask(await edge.connect({ ...old, ...(session !== undefined && { session }) }));
  await sent(`http://127.0.0.1:${edge.port}`, 'GET / HTTP/1.1\r\n\r\n');
  const lines = await logged(3);
  expect(lines[1]).toMatchObject({ protocol: 'HTTP/1.1', scheme: 'https', tls: 'TLSv1.2' });
  const samples = new Samples();
  edge.handshakes.sample(samples);
  expect(samples.byMetric.get('canopy_tls_handshakes_total')).toEqual(
    new Map([
      ['TLSv1.2\nno', 1],
      ['TLSv1.2\nyes', 1],
      ['TLSv1.3\nno', 1],
      ['TLSv1.3\nyes', 0],
    ]),
  );
  expect(samples.byMetric.get('canopy_tls_handshake_failures_total')).toEqual(new Map([['', 1]]));
});

test.each<[string, string, Line]>([
  [
    'no site',
    'GET /a HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n',
    {
      host: 'other.test',
      status: 421,
      cache: 'own',
      detail: 'unknown-host',
    },
  ],
  [
    'a method that is refused',
    request('/a').replace('GET', 'TRACE'),
    {
      method: 'TRACE',
      status: 405,
      detail: 'method-not-allowed',
    },
  ],
  ['no request at all', 'Hello\r\n\r\n', { status: 400, detail: 'invalid-request' }],
  ['a field with a line break in it', request('/a', 'X: a\rb'), { status: 400 }],
  [
    'a header section that is too long',
    request('/a', `X: ${'x'.repeat(40_000)}`),
    {
      status: 431,
      detail: 'header-too-large',
    },
  ],
])('%s has a line, too', async (_title, bytes, expected) => {
  const { edge, logged } = await started();
  const answer = await sent(edge.plainUrl, bytes);
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${String(expected['status'])} `));
  const [line] = await logged(1);
  expect(line).toMatchObject({ client: '127.0.0.1', ...expected });
  expect(line).not.toHaveProperty('site');
});

test('an answer that the client does not take to its end is aborted, with what was sent of it', async () => {
  const { edge, logged } = await started({
    origin: (_, outgoing) => {
      outgoing.writeHead(200, { 'Content-Length': '1000000' });
      outgoing.write('x'.repeat(1000));
    },
  });
  const { hostname, port } = new URL(edge.plainUrl);
  const socket = connectPlain({ host: hostname, port: Number(port) });
  socket.write(request('/long'));
  let received = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received += chunk.toString('latin1');
    // Leaving the loop ends the connection.
    if (received.endsWith('x'.repeat(1000))) break;
  }
  const [line] = await logged(1);
  expect(line).toMatchObject({ end: 'aborted', status: 200, bytesSent: 1000 });
});

test('one that breaks off on its way to us is broken', async () => {
  const { edge, logged } = await started({
    origin: (incoming, outgoing) => {
      outgoing.writeHead(200, { 'Content-Length': '1000000' });
      outgoing.write('x'.repeat(1000), () => incoming.socket.destroy());
    },
  });
  await sent(edge.plainUrl, request('/long')).catch(() => undefined);
  const [line] = await logged(1);
  expect(line).toMatchObject({ end: 'broken', status: 200 });
});

test.each<[string, Partial<LogSettings>, Partial<LogContent>, number, Line]>([
  ['everything', {}, {}, 2, { client: '198.51.100.7' }],
  ['addresses of the site cut', { truncateAddress: true }, {}, 2, { client: '198.51.100.0' }],
  ['addresses of the node cut', {}, { addresses: 'truncated' }, 2, { client: '198.51.100.0' }],
  ['only errors', { sample: 0 }, {}, 1, { target: '/error', status: 500 }],
  ['not even those', { enabled: false }, {}, 0, {}],
])('settings of a site: %s', async (_title, log, content, count, expected) => {
  const { edge, logged } = await started(
    {
      site: { log, upstream: { retriesPerSecond: 0, retryFraction: 0 } },
      trustedProxies: ['127.0.0.1'],
      origin: ({ url }, outgoing) => outgoing.writeHead(url === '/error' ? 500 : 200).end(),
    },
    content,
  );
  const from = 'X-Forwarded-For: 198.51.100.7';
  await sent(edge.plainUrl, request('/error', from));
  await sent(edge.plainUrl, request('/fine', from));
  const [first = {}] = await logged(count);
  expect(first).toMatchObject(expected);
});
