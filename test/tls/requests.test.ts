import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import { secretsAt } from '#control-plane/certificates/ticket-secrets.ts';
import { secureFieldsOf, secureUrl } from '#core/http/secure-transport.ts';
import { eventually } from '#test/eventually.ts';
import { type Issued, TestAuthority } from './authority.ts';
import { ask, HOST, TlsEdge } from './edge.ts';

let root: TestAuthority;
let www: Issued;
beforeAll(async () => {
  root = await TestAuthority.create();
  www = await root.issue({ names: [HOST] });
});

/** One plain request: status and fields. */
async function plain(edge: TlsEdge, path: string, host: string, method = 'GET') {
  const { hostname, port } = new URL(edge.plainUrl);
  const outgoing = request({ hostname, port, path, method, headers: { Host: host }, agent: false });
  outgoing.end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of incoming as AsyncIterable<Buffer>) body += chunk.toString();
  return { status: incoming.statusCode, headers: incoming.headers, body };
}

describe('a site that wants TLS', () => {
  test('sends plain requests there, with their method', async () => {
    const edge = await TlsEdge.start({ site: { tls: { redirect: true } } });
    expect(await plain(edge, '/a?b=c', HOST)).toMatchObject({
      status: 301,
      headers: { location: `https://${HOST}/a?b=c`, 'content-length': '0' },
    });
    const posted = await plain(edge, '/', `${HOST}:8080`, 'POST');
    expect(posted).toMatchObject({
      status: 308,
      headers: { location: `https://${HOST}:${edge.port}/` },
    });
  });

  test('says so to those who have come, and to nobody else', async () => {
    const tls = { hsts: { includeSubdomains: true }, altSvc: 'h3=":443"; ma=60' };
    const edge = await TlsEdge.start({ site: { tls } });
    edge.certify('www', www);
    const text = await ask(await edge.connect({ servername: HOST, ca: root.ca }));
    expect(text).toContain('Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n');
    expect(text).toContain('Alt-Svc: h3=":443"; ma=60\r\n');
    const { headers } = await plain(edge, '/', HOST);
    expect(headers).not.toHaveProperty('strict-transport-security');
    expect(headers).not.toHaveProperty('alt-svc');
  });
});

test('any edge answers the challenge of an authority, before a redirect', async () => {
  const edge = await TlsEdge.start({ site: { tls: { redirect: true } } });
  const path = '/.well-known/acme-challenge/token-1';
  expect((await plain(edge, path, HOST)).status).toBe(301);
  edge.challenges([{ token: 'token-1', keyAuthorization: 'token-1.thumbprint' }]);
  expect(await plain(edge, path, HOST)).toMatchObject({ status: 200, body: 'token-1.thumbprint' });
  edge.challenges([]);
  expect((await plain(edge, path, HOST)).status).toBe(301);
});

const one = (path: string, last = false) =>
  `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`;

test('over TLS, too, requests of HTTP/1.1 may come before the answers to those before', async () => {
  const edge = await TlsEdge.start({
    origin: (incoming, outgoing) => outgoing.end(`at ${incoming.url}`),
  });
  edge.certify('www', www);
  const socket = await edge.connect({ servername: HOST, ca: root.ca });
  socket.write(one('/1') + one('/2') + one('/3', true));
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  expect(text.match(/at \/\d/g)).toEqual(['at /1', 'at /2', 'at /3']);
  await eventually(async () => expect(edge.activity?.connections).toBe(0));
});

test('over TLS, too, a connection may leave HTTP', async () => {
  const edge = await TlsEdge.start({
    origin: ({ socket }) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
      );
      socket.end('beyond HTTP');
    },
  });
  edge.certify('www', www);
  const socket = await edge.connect({ servername: HOST, ca: root.ca });
  socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`);
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('latin1');
  expect(text).toMatch(/^HTTP\/1\.1 101 /);
  expect(text).toMatch(/beyond HTTP$/);
});

test.for([
  [{ hsts: null, altSvc: null }, []],
  [
    { hsts: { maxAgeSeconds: 60, includeSubdomains: false, preload: true }, altSvc: null },
    ['Strict-Transport-Security', 'max-age=60; preload'],
  ],
] as const)('fields of %o (RFC 6797 §6.1)', ([settings, expected]) => {
  expect(secureFieldsOf(settings)).toEqual(expected);
});

test.for([
  ['www.example', undefined, 'https://www.example/a'],
  ['www.example:80', 8443, 'https://www.example/a'],
  ['www.example:8080', 8443, 'https://www.example:8443/a'],
  ['www.example:8080', 443, 'https://www.example/a'],
  ['www.example:8080', undefined, 'https://www.example/a'],
] as const)(
  'the URL over TLS of http://%s/a with TLS at %s is %s',
  ([authority, port, expected]) => {
    expect(secureUrl(authority, 'www.example', '/a', port)).toBe(expected);
  },
);

describe('secrets of session tickets', () => {
  const HOUR = 3_600_000;
  let made = 0;
  const make = (): string => `secret ${(made += 1)}`;

  test('are made when there is none, announced before their time, and forgotten after it', () => {
    const first = secretsAt([], 0, make);
    expect(first).toMatchObject([{ from: 0 }]);
    expect(secretsAt(first, 9 * HOUR, make)).toBe(first);
    const both = secretsAt(first, 11 * HOUR, make);
    expect(both).toMatchObject([{ from: 0 }, { from: 12 * HOUR }]);
    expect(secretsAt(both, 11.5 * HOUR, make)).toBe(both);
    expect(secretsAt(both, 12 * HOUR, make)).toEqual(both.slice(1));
    expect(secretsAt(both, 99 * HOUR, make)).toMatchObject([{ from: 99 * HOUR }]);
  });
});
