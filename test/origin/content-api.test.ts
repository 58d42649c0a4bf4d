import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { PUBLISH_KEY, send, startTestOrigin } from './support.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const base64 = (text: string): string => createHash('sha256').update(text).digest('base64');

async function start() {
  const origin = await startTestOrigin();
  const call = (method: string, path: string, body?: unknown) =>
    send(
      origin.url,
      `/v1/sites/shop/${path}`,
      method,
      { Authorization: `Bearer ${PUBLISH_KEY}` },
      typeof body === 'string' || body === undefined ? body : JSON.stringify(body),
    );
  return { ...origin, call };
}

test('contents are asked for, put by digest, published together and read', async () => {
  const { call, get } = await start();
  const digests = ['<p>', 'p {}'].map(sha256);
  const [page = '', style = ''] = digests;
  expect((await call('POST', 'contents/missing', { digests })).json()).toEqual({
    missing: digests,
  });
  const created = await call('PUT', `contents/${page}`, '<p>');
  expect({ status: created.status, json: created.json() }).toEqual({
    status: 201,
    json: { digest: page, size: 3 },
  });
  expect((await call('PUT', `contents/${page}`, '<p>')).status).toBe(200);
  const objects = [
    { path: '/index.html', digest: page, cacheControl: 'max-age=5' },
    { path: '/a%2db.css', digest: style, contentType: 'text/x-style' },
  ];
  const early = await call('POST', 'publications', { objects });
  expect(early.json()).toMatchObject({ code: 'content-missing', status: 409, side: 'client' });
  expect((await get('/')).status).toBe(404);
  await call('PUT', `contents/${style}`, 'p {}');
  const published = await call('POST', 'publications', { objects, deleted: ['/none'] });
  expect({ status: published.status, json: published.json() }).toEqual({
    status: 200,
    json: { objects: 2, deleted: 1 },
  });
  const served = await get('/');
  expect(served.text).toBe('<p>');
  expect(served.headers).toMatchObject({
    'cache-control': 'max-age=5',
    'content-type': 'text/html; charset=utf-8',
    etag: `"${page}"`,
  });
  expect((await get('/a-b.css')).headers['content-type']).toBe('text/x-style');
  expect((await call('GET', `contents/${style}`)).text).toBe('p {}');
  const head = await call('HEAD', `contents/${style}`);
  expect(head).toMatchObject({ status: 200, text: '', headers: { 'content-length': '4' } });
  expect((await call('GET', `contents/${sha256('none')}`)).status).toBe(404);
});

test('holds keep contents without a path', async () => {
  const { call } = await start();
  await call('PUT', 'objects/a', 'x');
  expect((await call('PUT', 'holds/release-1', { digests: [sha256('x')] })).status).toBe(204);
  await call('DELETE', 'objects/a');
  expect((await call('GET', `contents/${sha256('x')}`)).text).toBe('x');
  expect((await call('DELETE', 'holds/release-1')).status).toBe(204);
  expect((await call('GET', `contents/${sha256('x')}`)).status).toBe(404);
});

test('usage and versions are told', async () => {
  const { call } = await start();
  await call('PUT', 'objects/a', 'xyz');
  expect((await call('GET', 'usage')).json()).toEqual({
    objects: 1,
    bytes: 3,
    maxObjects: null,
    maxBytes: null,
    keepVersions: 0,
  });
  expect((await call('GET', 'versions/a')).json()).toEqual({ versions: [] });
});

const DIGEST = sha256('x');

describe('what is refused', () => {
  test.each<[problem: string, method: string, path: string, body: unknown, code: string]>([
    ['a digest that is none', 'PUT', 'contents/abc', 'x', 'invalid-input'],
    ['other content', 'PUT', `contents/${DIGEST}`, 'y', 'digest-mismatch'],
    ['another method', 'POST', `contents/${DIGEST}`, 'x', 'method-not-allowed'],
    ['asking by GET', 'GET', 'contents/missing', undefined, 'method-not-allowed'],
    ['no JSON', 'POST', 'contents/missing', 'x', 'invalid-request'],
    ['no digests', 'POST', 'contents/missing', {}, 'invalid-input'],
    ['too many digests', 'POST', 'contents/missing', { digests: many() }, 'invalid-input'],
    ['an unknown field', 'POST', 'publications', { delete: [] }, 'invalid-input'],
    ['a relative path', 'POST', 'publications', { deleted: ['a'] }, 'invalid-input'],
    ['a malformed path', 'POST', 'publications', { deleted: ['/%zz'] }, 'invalid-request'],
    ['a path twice', 'POST', 'publications', { deleted: ['/a', '/%61'] }, 'invalid-request'],
    ['a part of a publication', 'POST', 'publications/x', {}, 'not-found'],
    ['a hold without a name', 'PUT', 'holds', { digests: [] }, 'invalid-input'],
    ['holding what is not there', 'PUT', 'holds/a', { digests: [DIGEST] }, 'content-missing'],
    ['an unknown resource', 'GET', 'things', undefined, 'not-found'],
  ])('%s', async (_problem, method, path, body, code) => {
    const { call, store } = await start();
    expect((await call(method, path, body)).json()).toMatchObject({ code });
    expect(store.totals).toEqual({ objects: 0, bytes: 0 });
  });
});

const many = (): string[] => Array.from({ length: 50_001 }, () => DIGEST);

describe('digests of a put (RFC 9530)', () => {
  test.each<[source: string, fields: Record<string, string>, status: number]>([
    ['§3 Repr-Digest', { 'Repr-Digest': `sha-256=:${base64('new')}:` }, 201],
    ['§2 Content-Digest', { 'Content-Digest': `sha-256=:${base64('new')}:` }, 201],
    [
      '§2 others beside it',
      { 'Content-Digest': `sha-512=:AAAA:, sha-256=:${base64('new')}:` },
      201,
    ],
    ['§2 others are ignored', { 'Content-Digest': 'md5=:AAAA:' }, 201],
    ['of other content', { 'Repr-Digest': `sha-256=:${base64('other')}:` }, 400],
    ['too short', { 'Repr-Digest': 'sha-256=:AAAA:' }, 400],
    ['malformed', { 'Repr-Digest': 'sha-256=' }, 400],
    [
      'two that differ',
      {
        'Repr-Digest': `sha-256=:${base64('new')}:`,
        'Content-Digest': `sha-256=:${base64('other')}:`,
      },
      400,
    ],
  ])('%s', async (_source, fields, status) => {
    const { api, store } = await start();
    expect((await api('PUT', '/a', 'new', fields)).status).toBe(status);
    expect(store.totals.objects).toBe(status === 201 ? 1 : 0);
  });
});
