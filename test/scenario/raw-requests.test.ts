import { expect } from 'vitest';
import { type RawAnswer, RawClient } from './kit/raw.ts';
import { scenario } from './kit/scenario.ts';

const HOST = 'Host: www.example.org\r\n';
const fields = (count: number): string =>
  Array.from({ length: count }, (_, i) => `X-${i}: v\r\n`).join('');

/** What is sent, and the status of its answer. */
type Row = readonly [name: string, request: string, status: number];

/** Messages whose end cannot be known, RFC 9112 §6: nothing after them may be read as a request. */
const MISFRAMED: readonly Row[] = [
  [
    'two lengths that differ',
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
    400,
  ],
  [
    'a length repeated',
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
    400,
  ],
  ['a list of lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 3, 3\r\n\r\nabc`, 400],
  ['a negative length', `POST / HTTP/1.1\r\n${HOST}Content-Length: -3\r\n\r\nabc`, 400],
  ['a signed length', `POST / HTTP/1.1\r\n${HOST}Content-Length: +3\r\n\r\nabc`, 400],
  ['a hexadecimal length', `POST / HTTP/1.1\r\n${HOST}Content-Length: 0x3\r\n\r\nabc`, 400],
  [
    'a length that overflows',
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 99999999999999999999\r\n\r\n`,
    400,
  ],
  [
    'length and chunks',
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    'chunks and length',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    'a last coding that is not chunked',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    'chunked twice',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    'a coding that is not understood',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    501,
  ],
  [
    'a coding misspelt',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    501,
  ],
  [
    'chunks in HTTP/1.0',
    `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
];

const REFUSED: readonly Row[] = [
  // Field syntax: RFC 9112 §5, §2.2.
  ['space before the colon', `GET / HTTP/1.1\r\n${HOST}X-A : b\r\n\r\n`, 400],
  ['a folded line', `GET / HTTP/1.1\r\n${HOST}X-A: b\r\n c\r\n\r\n`, 400],
  ['a folded first line', `GET / HTTP/1.1\r\n ${HOST}\r\n\r\n`, 400],
  ['a bare CR in a value', `GET / HTTP/1.1\r\n${HOST}X-A: b\rc\r\n\r\n`, 400],
  ['a bare LF in a value', `GET / HTTP/1.1\r\n${HOST}X-A: b\nX-C: d\r\n\r\n`, 400],
  ['bare LF for line ends', `GET / HTTP/1.1\nHost: www.example.org\n\n`, 400],
  ['NUL in a value', `GET / HTTP/1.1\r\n${HOST}X-A: b\0c\r\n\r\n`, 400],
  ['NUL in a name', `GET / HTTP/1.1\r\n${HOST}X\0A: b\r\n\r\n`, 400],
  ['a name that is no token', `GET / HTTP/1.1\r\n${HOST}X(A): b\r\n\r\n`, 400],
  ['an empty name', `GET / HTTP/1.1\r\n${HOST}: b\r\n\r\n`, 400],
  ['a line without a colon', `GET / HTTP/1.1\r\n${HOST}nonsense\r\n\r\n`, 400],
  // The request line: RFC 9112 §3.
  ['HTTP/0.9', 'GET /\r\n\r\n', 400],
  ['a version that is not spoken', `GET / HTTP/3.7\r\n${HOST}\r\n`, 400],
  ['a name that is not HTTP', `GET / HTPP/1.1\r\n${HOST}\r\n`, 400],
  ['a method in lower case', `get / HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['a method unheard of', `FROBNICATE / HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['a space in the target', `GET /a b HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['a fragment in the target', `GET /a#b HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['a target without a slash', `GET a HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['an asterisk for GET', `GET * HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['another scheme', `GET ftp://www.example.org/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['TLS to a port without it', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', 400],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  // Host: RFC 9112 §3.2.
  ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['no host in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 400],
  ['two hosts', `GET / HTTP/1.1\r\n${HOST}Host: other\r\n\r\n`, 400],
  ['a host that is none', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
  ['a host of another site', 'GET / HTTP/1.1\r\nHost: other.example\r\n\r\n', 421],
  ['a host too long', `GET / HTTP/1.1\r\nHost: ${'a.'.repeat(200)}\r\n\r\n`, 400],
  // Limits.
  ['a target too long', `GET /${'a'.repeat(8192)} HTTP/1.1\r\n${HOST}\r\n`, 414],
  ['a target that fills the header section', `GET /${'a'.repeat(40_000)}`, 414],
  ['a field too large', `GET / HTTP/1.1\r\n${HOST}X-A: ${'a'.repeat(40_000)}\r\n\r\n`, 431],
  ['too many fields', `GET / HTTP/1.1\r\n${HOST}${fields(256)}\r\n`, 431],
  [
    'chunk extensions too large',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(20_000)}\r\na\r\n0\r\n\r\n`,
    413,
  ],
  // What a proxy of this kind does not do: RFC 9110 §9.3.6, §9.3.8, §10.1.1.
  ['CONNECT', `CONNECT www.example.org:443 HTTP/1.1\r\n${HOST}\r\n`, 405],
  ['TRACE', `TRACE / HTTP/1.1\r\n${HOST}\r\n`, 405],
  [
    'another expectation',
    `POST / HTTP/1.1\r\n${HOST}Expect: miracles\r\nContent-Length: 1\r\n\r\na`,
    417,
  ],
];

async function isRefused(client: RawClient, status: number): Promise<RawAnswer> {
  const answer = await client.answer();
  expect(answer).toMatchObject({ status, headers: { 'content-type': 'application/problem+json' } });
  expect(JSON.parse(answer.body)).toMatchObject({ status });
  return answer;
}

for (const [name, request, status] of MISFRAMED) {
  scenario(`${name}: ${status}, and the end of the connection`, async ({ origin, edge }) => {
    const client = new RawClient(edge().url).send(request);
    client.send(`GET /smuggled HTTP/1.1\r\n${HOST}\r\n`);
    const { headers } = await isRefused(client, status);
    expect(headers['connection']).toBe('close');
    expect(await client.closed()).toBe('');
    origin.saw();
  });
}

for (const [name, request, status] of REFUSED) {
  scenario(`${name}: ${status}, and the origin sees nothing`, async ({ origin, edge }) => {
    const client = new RawClient(edge().url).send(request);
    const { headers } = await isRefused(client, status);
    if (status === 405) expect(headers['allow']).toContain('GET');
    if (headers['connection'] === 'close') expect(await client.closed()).toBe('');
    client.socket.destroy();
    origin.saw();
  });
}

/** What is sent, the status of its answer, and the one request that the origin sees of it. */
const PASSED: readonly (readonly [...Row, sees: string])[] = [
  ['empty lines before a request', `\r\n\r\nGET /a HTTP/1.1\r\n${HOST}\r\n`, 200, 'GET /a'],
  ['absolute-form', 'GET http://www.example.org/a HTTP/1.1\r\nHost: other\r\n\r\n', 200, 'GET /a'],
  ['no space after the colon', 'GET /a HTTP/1.1\r\nHost:www.example.org\r\n\r\n', 200, 'GET /a'],
  ['an empty value', `GET /a HTTP/1.1\r\n${HOST}X-A:\r\n\r\n`, 200, 'GET /a'],
  ['octets beyond ASCII in a value', `GET /a HTTP/1.1\r\n${HOST}X-A: \xe9\r\n\r\n`, 200, 'GET /a'],
  ['as many fields as are read', `GET /a HTTP/1.1\r\n${HOST}${fields(255)}\r\n`, 200, 'GET /a'],
  ['HTTP/1.0', `GET /a HTTP/1.0\r\n${HOST}\r\n`, 200, 'GET /a'],
  [
    'an offer of h2c',
    `GET /a HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    200,
    'GET /a',
  ],
  [
    'an upgrade of HTTP/1.0',
    `GET /a HTTP/1.0\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    200,
    'GET /a',
  ],
  [
    'content by length',
    `POST /a HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
    200,
    'POST /a',
  ],
  [
    'content in chunks',
    `POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: v\r\n\r\n`,
    200,
    'POST /a',
  ],
  ['POST without content', `POST /a HTTP/1.1\r\n${HOST}\r\n`, 200, 'POST /a'],
  ['DELETE without content', `DELETE /a HTTP/1.1\r\n${HOST}\r\n`, 200, 'DELETE /a'],
  [
    'DELETE with content',
    `DELETE /a HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\na`,
    200,
    'DELETE /a',
  ],
  ['GET with content', `GET /a HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\na`, 200, 'GET /a'],
  ['a method of WebDAV', `PROPFIND /a HTTP/1.1\r\n${HOST}\r\n`, 200, 'PROPFIND /a'],
  ['OPTIONS of a path', `OPTIONS /a HTTP/1.1\r\n${HOST}\r\n`, 200, 'OPTIONS /a'],
];

for (const [name, request, status, sees] of PASSED) {
  scenario(`${name}: one request, one answer`, async ({ origin, edge }) => {
    origin.answersTo(sees, { status });
    const client = new RawClient(edge().url).send(request);
    expect(await client.answer()).toMatchObject({ status });
    client.socket.destroy();
    origin.saw(sees);
  });
}

scenario('RFC 9112 §9.3: an HTTP/1.0 connection lives on if asked to', async ({ origin, edge }) => {
  origin.answers('/a', { body: 'a' });
  const keeps = new RawClient(edge().url);
  for (let i = 0; i < 2; i++) {
    keeps.send(`GET /a HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\n`);
    expect(await keeps.answer()).toMatchObject({
      body: 'a',
      headers: { connection: 'keep-alive' },
    });
  }
  keeps.socket.destroy();
  const ends = new RawClient(edge().url).send(`GET /a HTTP/1.0\r\n${HOST}\r\n`);
  expect(await ends.answer()).toMatchObject({ body: 'a', headers: { connection: 'close' } });
  expect(await ends.closed()).toBe('');
});

scenario('RFC 9112 §9.3.2: pipelined requests are answered in order', async (world) => {
  const { origin, edge, gate } = world;
  const slow = gate();
  origin.answers('/slow', { body: 'slow', waitsFor: slow });
  origin.answers('/fast', { cacheControl: 'max-age=60', body: 'fast' });
  await edge().get('/fast').sees({ status: 200 });
  const client = new RawClient(edge().url);
  client.send(['/slow', '/fast', '/none:'].map((t) => `GET ${t} HTTP/1.1\r\n${HOST}\r\n`).join(''));
  client.send('garbage\r\n\r\n');
  await slow.reached();
  origin.answers('/none:', { status: 404 });
  slow.open();
  expect(await client.answer()).toMatchObject({ status: 200, body: 'slow' });
  expect(await client.answer()).toMatchObject({ status: 200, body: 'fast' });
  expect(await client.answer()).toMatchObject({ status: 404 });
  expect(await client.answer()).toMatchObject({ status: 400, headers: { connection: 'close' } });
  expect(await client.closed()).toBe('');
});

scenario('a client that goes on after nonsense is not reset', async ({ edge }) => {
  const client = new RawClient(edge().url).send('garbage\r\n\r\n');
  expect(await client.answer()).toMatchObject({ status: 400 });
  await client.finish('x'.repeat(8 * 1024 * 1024));
});

scenario(
  'content that breaks its framing half-way: 400, and the upload is given up',
  async (world) => {
    const { origin, edge } = world;
    origin.answersTo('POST /a', { status: 200 });
    const client = new RawClient(edge().url);
    client.send(`POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`);
    expect(await client.answer()).toMatchObject({ status: 400, headers: { connection: 'close' } });
    await client.closed();
  },
);

scenario('OPTIONS of the server as a whole is answered by the edge', async ({ origin, edge }) => {
  for (const target of ['*', 'http://www.example.org']) {
    const client = new RawClient(edge().url).send(`OPTIONS ${target} HTTP/1.1\r\n${HOST}\r\n`);
    expect(await client.answer()).toMatchObject({ status: 204 });
    client.socket.destroy();
  }
  origin.saw();
});

scenario('RFC 9110 §7.6.2: Max-Forwards says which hop answers OPTIONS', async (world) => {
  const { origin, edge } = world;
  const ask = (hops: number) =>
    edge().send('/a', { method: 'OPTIONS', headers: { 'Max-Forwards': String(hops) } });
  origin.answersTo('OPTIONS /a', { status: 200, body: 'of the origin' });
  expect((await ask(0)).tiers).toHaveLength(1);
  expect((await ask(1)).tiers).toHaveLength(2);
  origin.saw();
  await ask(2).sees({ body: 'of the origin' });
  origin.saw('OPTIONS /a');
});
