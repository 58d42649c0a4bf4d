import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { expectOf } from '#test/scenario/kit/expect-of.ts';
import { StrictOrigin } from '#test/scenario/kit/strict-origin.ts';
import { type Issued, TestAuthority } from './authority.ts';
import { ask, HOST, TlsEdge } from './edge.ts';
import { Frames } from './frames.ts';

// What a request of HTTP/2 may not become on its way up, which is HTTP/1.1.

let root: TestAuthority;
let www: Issued;
beforeAll(async () => {
  root = await TestAuthority.create();
  www = await root.issue({ names: [HOST] });
});

type Field = readonly [name: string, value: string];

const SMUGGLED = `GET /smuggled HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

const request = (
  change: Readonly<Record<string, string | undefined>>,
  ...more: readonly Field[]
): readonly Field[] => [
  ...Object.entries({
    ':method': 'POST',
    ':scheme': 'https',
    ':path': '/a',
    ':authority': HOST,
    ...change,
  }).filter((field): field is [string, string] => field[1] !== undefined),
  ...more,
];

/** What is sent, and the only requests that the origin may see of it. */
type Row = readonly [
  name: string,
  fields: readonly Field[],
  content: string | undefined,
  ...sees: readonly string[],
];

const ROWS: readonly Row[] = [
  // RFC 9113 §8.2.1, §10.3: what would end a line, or the section. nghttp2 drops such a field.
  [
    'CR and LF in a value',
    request({}, ['x-a', `b\r\ntransfer-encoding: chunked`]),
    SMUGGLED,
    `POST /a "${SMUGGLED}"`,
  ],
  ['a section end in a value', request({}, ['x-a', `b\r\n\r\n${SMUGGLED}`]), undefined, 'POST /a'],
  ['a bare LF in a value', request({}, ['x-a', 'b\nc: d']), undefined, 'POST /a'],
  ['a bare CR in a value', request({}, ['x-a', 'b\rc: d']), undefined, 'POST /a'],
  ['NUL in a value', request({}, ['x-a', 'b\0c']), undefined, 'POST /a'],
  ['CR and LF in a name', request({}, ['x-a: b\r\nx-c', 'd']), undefined, 'POST /a'],
  [
    'a colon in a name',
    request({}, ['transfer-encoding: chunked', 'x']),
    SMUGGLED,
    `POST /a "${SMUGGLED}"`,
  ],
  ['a space in a name', request({}, ['x a', 'b']), undefined, 'POST /a'],
  ['a name in capitals', request({}, ['Transfer-Encoding', 'chunked']), SMUGGLED],
  ['an empty name', request({}, ['', 'b']), undefined, 'POST /a'],
  // §8.2.2: what concerns the connection.
  [
    'transfer-encoding (H2.TE)',
    request({}, ['transfer-encoding', 'chunked']),
    `0\r\n\r\n${SMUGGLED}`,
  ],
  ['connection', request({}, ['connection', 'x-a'], ['x-a', 'b']), undefined],
  ['keep-alive', request({}, ['keep-alive', 'timeout=1']), undefined],
  ['proxy-connection', request({}, ['proxy-connection', 'keep-alive']), undefined],
  ['upgrade', request({ ':method': 'GET' }, ['upgrade', 'websocket']), undefined],
  ['te of anything but trailers', request({}, ['te', 'chunked']), undefined],
  // §8.1.1: a length that is not that of the content.
  ['a length too short (H2.CL)', request({}, ['content-length', '0']), SMUGGLED],
  ['a length too long', request({}, ['content-length', '1000']), SMUGGLED],
  ['a length of nothing that comes', request({}, ['content-length', '3']), undefined],
  ['two lengths', request({}, ['content-length', '3'], ['content-length', '4']), 'abc'],
  ['a length that is none', request({}, ['content-length', '+3']), 'abc'],
  // §8.3.1: pseudo-header fields.
  ['a method with a space', request({ ':method': 'GET /smuggled HTTP/1.1\r\nx: y' }), undefined],
  ['a method with a space alone', request({ ':method': 'GET /b' }), undefined],
  ['a path with a space', request({ ':path': '/a HTTP/1.1' }), undefined],
  [
    'a path with a line',
    request({ ':path': `/a HTTP/1.1\r\nhost: ${HOST}\r\n\r\nGET /b` }),
    undefined,
  ],
  ['an absolute path', request({ ':path': 'http://other.example/a' }), undefined],
  ['a path without a slash', request({ ':path': 'a' }), undefined],
  ['an empty path', request({ ':path': '' }), undefined],
  ['a path with a fragment', request({ ':path': '/a#b' }), undefined],
  ['an asterisk for POST', request({ ':path': '*' }), undefined],
  ['an authority with a path', request({ ':authority': `${HOST}/b` }), undefined],
  ['an authority with a user', request({ ':authority': `other@${HOST}` }), undefined],
  ['an authority with a line', request({ ':authority': `${HOST}\r\nx: y` }), undefined],
  ['an authority that host contradicts', request({}, ['host', 'other.example']), undefined],
  ['two hosts', request({ ':authority': undefined }, ['host', HOST], ['host', 'other']), undefined],
  ['no authority', request({ ':authority': undefined }), undefined],
  ['a scheme with a space', request({ ':scheme': 'https /b' }), undefined],
  ['two paths', request({}, [':path', '/b']), undefined],
  ['two methods', request({}, [':method', 'GET']), undefined],
  [
    'a pseudo-header field after others',
    request({ ':path': undefined }, ['x-a', 'b'], [':path', '/a']),
    undefined,
  ],
  ['a pseudo-header field that is none', request({}, [':x', 'y']), undefined],
  ['a status', request({}, [':status', '200']), undefined],
  ['no method', request({ ':method': undefined }), undefined],
  // What is fine.
  ['content without a length', request({}), 'abc', 'POST /a "abc"'],
  ['content of its length', request({}, ['content-length', '3']), 'abc', 'POST /a "abc"'],
  ['content that looks like a request', request({}), SMUGGLED, `POST /a "${SMUGGLED}"`],
  ['te of trailers', request({ ':method': 'GET' }, ['te', 'trailers']), undefined, 'GET /a'],
  [
    'a host for the authority',
    request({ ':authority': undefined }, ['host', HOST]),
    undefined,
    'POST /a',
  ],
  [
    'cookies in crumbs',
    request({ ':method': 'GET' }, ['cookie', 'a=b'], ['cookie', 'c=d']),
    undefined,
    'GET /a',
  ],
];

test('what an HTTP/2 client sends never becomes two requests, nor harms anyone', async () => {
  const origin = await new StrictOrigin().up();
  onTestFinished(() => origin.down());
  const edge = await TlsEdge.start({
    site: { origin: { kind: 'pull', servers: [{ url: origin.url }] } },
  });
  edge.certify('www', www);
  const options = { servername: HOST, ca: root.ca };
  for (const [index, [name, fields, content, ...sees]] of ROWS.entries()) {
    const expectIt = expectOf(name);
    const socket = await edge.connect({ ...options, ALPNProtocols: ['h2'] });
    const client = await Frames.begin(socket, HOST);
    await client.send(fields, content);
    // A stream that is reset, an answer, or the end of the connection.
    await expect
      .poll(() => client.isClosed || client.answered.length + client.resetCodes.length > 0, {
        interval: 1,
      })
      .toBe(true);
    await client.idle();
    client.end();
    expectIt(origin.requests.splice(0)).toEqual(sees);
    for (const head of origin.heads.splice(0)) expectIt(head).not.toMatch(/x[- ]a|c: d/i);
    const path = `/innocent-${index}`;
    expectIt(await ask(await edge.connect(options), path)).toContain(`GET ${path}`);
    expectIt(origin.requests.splice(0)).toEqual([`GET ${path}`]);
    origin.heads.length = 0;
  }
  await expect.poll(() => edge.activity?.requests).toBe(0);
});
