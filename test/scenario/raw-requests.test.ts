import { expect } from 'vitest';
import { RawClient } from './kit/raw.ts';
import { scenario } from './kit/scenario.ts';

// What a client may not send is in corpus/.

const HOST = 'Host: www.example.org\r\n';
const fields = (count: number): string =>
  Array.from({ length: count }, (_, i) => `X-${i}: v\r\n`).join('');

/** What is sent, and the status of its answer. */
type Row = readonly [name: string, request: string, status: number];

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
