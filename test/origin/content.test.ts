import { describe, expect, test } from 'vitest';
import { send, startTestOrigin, TIER_KEY, uploadOf } from './support.ts';

const PUT_AT = 'Thu, 01 Jan 2026 00:00:00 GMT';
const LATER = 'Thu, 01 Jan 2026 00:01:00 GMT';

async function originWith(objects: Record<string, string>) {
  const origin = await startTestOrigin();
  for (const [path, text] of Object.entries(objects)) {
    await origin.store.put('shop', path, uploadOf(text, { cacheControl: 'max-age=5' }));
  }
  origin.clock.nowMs += 60_000;
  const object = await origin.store.find('shop', Object.keys(objects)[0] ?? '');
  return { ...origin, etag: object?.etag ?? '' };
}

describe('content for nodes of the network', () => {
  test('is served with all that describes it', async () => {
    const { get, etag } = await originWith({ '/a.txt': 'hello' });
    const { status, headers, text } = await get('/a.txt?query=unheard');
    expect({ status, text }).toEqual({ status: 200, text: 'hello' });
    expect(headers).toMatchObject({
      date: LATER,
      etag,
      'last-modified': PUT_AT,
      'content-type': 'text/plain',
      'content-length': '5',
      'accept-ranges': 'bytes',
      'cache-control': 'max-age=5',
    });
  });

  test('HEAD tells the same without content', async () => {
    const { get } = await originWith({ '/a.txt': 'hello' });
    const answered = await get('/a.txt');
    const head = await get('/a.txt', { Range: 'bytes=0-0' }, 'HEAD');
    expect(head).toMatchObject({ status: 200, headers: answered.headers, text: '' });
  });

  test('an empty object is one', async () => {
    const { get } = await originWith({ '/empty': '' });
    expect(await get('/empty')).toMatchObject({ status: 200, text: '' });
    expect((await get('/empty', { Range: 'bytes=0-' })).status).toBe(416);
  });

  test.each<[spelling: string, path: string]>([
    ['as put', '/caf%C3%A9/a-b'],
    ['lower-case hex, unreserved encoded', '/caf%c3%a9/a%2Db'],
    ['dot segments', '/x/../caf%C3%A9/./a-b'],
  ])('is found by every spelling of its path: %s', async (_spelling, path) => {
    const { get } = await originWith({ '/caf%C3%A9/a-b': 'found' });
    expect((await get(path)).text).toBe('found');
  });

  test('a path that ends in a slash falls back to its index.html', async () => {
    const { get } = await originWith({
      '/index.html': 'root',
      '/dir/index.html': 'dir',
      '/own/': 'own',
      '/own/index.html': 'hidden',
    });
    expect((await get('/')).text).toBe('root');
    expect((await get('/dir/')).text).toBe('dir');
    expect((await get('/own/')).text).toBe('own');
    expect((await get('/dir')).status).toBe(404);
  });

  test('what is not there is a problem that caches may keep', async () => {
    const { get } = await originWith({});
    const { status, headers, json } = await get('/gone');
    expect(status).toBe(404);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(headers['cache-control']).toBeUndefined();
    expect(headers['canopy-error']).toBeUndefined();
    expect(json()).toMatchObject({ code: 'not-found', status: 404 });
    expect(await get('/gone', {}, 'HEAD')).toMatchObject({ status: 404, text: '' });
  });

  test('an object of another site is not there', async () => {
    const { get } = await originWith({ '/a': 'x' });
    expect((await get('/a', { 'Canopy-Site': 'blog' })).status).toBe(404);
  });

  test('other methods are not allowed', async () => {
    const { get } = await originWith({ '/a': 'x' });
    const { status, headers } = await get('/a', {}, 'POST');
    expect(status).toBe(405);
    expect(headers['allow']).toBe('GET, HEAD');
  });

  test.each<[problem: string, path: string, headers: Record<string, string>, status: number]>([
    ['a malformed path', '/%zz', {}, 400],
    ['a site that has no name', '/a', { 'Canopy-Site': '../x' }, 422],
    ['a target too long', `/${'a'.repeat(9000)}`, {}, 414],
    ['a header section too large', '/a', { Large: 'x'.repeat(40_000) }, 431],
  ])('refuses %s', async (_problem, path, headers, status) => {
    const { get } = await originWith({});
    expect((await get(path, headers)).status).toBe(status);
  });
});

describe('preconditions and ranges of content', () => {
  test.each<[source: string, headers: Record<string, string>, status: number, body: string]>([
    ['RFC 9110 §14.2 a range', { Range: 'bytes=1-3' }, 206, '123'],
    ['RFC 9110 §14.2 a suffix', { Range: 'bytes=-2' }, 206, '89'],
    ['RFC 9110 §14.2 several are answered whole', { Range: 'bytes=0-0,5-6' }, 200, '0123456789'],
    ['RFC 9110 §14.2 malformed', { Range: 'bytes=x' }, 200, '0123456789'],
    ['RFC 9110 §15.5.17 unsatisfiable', { Range: 'bytes=10-' }, 416, ''],
    ['RFC 9110 §13.1.5 If-Range: etag', { Range: 'bytes=1-3', 'If-Range': 'ETAG' }, 206, '123'],
    [
      'RFC 9110 §13.1.5 If-Range: other',
      { Range: 'bytes=1-3', 'If-Range': '"x"' },
      200,
      '0123456789',
    ],
    ['RFC 9110 §13.1.5 If-Range: date', { Range: 'bytes=1-3', 'If-Range': PUT_AT }, 206, '123'],
    ['RFC 9110 §13.1.2 If-None-Match', { 'If-None-Match': '"x", ETAG' }, 304, ''],
    ['RFC 9110 §13.1.3 If-Modified-Since', { 'If-Modified-Since': PUT_AT }, 304, ''],
    ['RFC 9110 §13.1.1 If-Match', { 'If-Match': '"x"' }, 412, ''],
    [
      'RFC 9110 §13.1.4 If-Unmodified-Since',
      { 'If-Unmodified-Since': 'Wed, 31 Dec 2025 00:00:00 GMT' },
      412,
      '',
    ],
    [
      'RFC 9110 §13.2.2 a condition before the range',
      { 'If-None-Match': 'ETAG', Range: 'bytes=1-3' },
      304,
      '',
    ],
  ])('%s', async (_source, headers, status, body) => {
    const { get, etag } = await originWith({ '/digits': '0123456789' });
    const sent = Object.entries(headers).map(([name, value]) => [
      name,
      value.replace('ETAG', etag),
    ]);
    const answer = await get('/digits', Object.fromEntries(sent) as Record<string, string>);
    expect({ status: answer.status, body: answer.text }).toEqual({ status, body });
    expect(answer.headers['etag']).toBe(etag);
  });

  test('tell the range that was served, or the size', async () => {
    const { get } = await originWith({ '/digits': '0123456789' });
    const part = await get('/digits', { Range: 'bytes=1-3' });
    expect(part.headers).toMatchObject({ 'content-range': 'bytes 1-3/10', 'content-length': '3' });
    const none = await get('/digits', { Range: 'bytes=10-' });
    expect(none.headers['content-range']).toBe('bytes */10');
  });

  test('a date does not vouch for ranges in the second in which it was made', async () => {
    const { get, clock } = await originWith({ '/digits': '0123456789' });
    clock.nowMs -= 60_000;
    const headers = { Range: 'bytes=1-3', 'If-Range': PUT_AT };
    expect((await get('/digits', headers)).status).toBe(200);
  });
});

describe('who is served', () => {
  test.each<[who: string, path: string, headers: Record<string, string>, status: number]>([
    ['nobody in particular', '/a', {}, 403],
    ['a wrong tier key', '/a', { 'Canopy-Tier-Key': 'x', 'Canopy-Site': 'shop' }, 403],
    [
      'a tier key cut short',
      '/a',
      { 'Canopy-Tier-Key': TIER_KEY.slice(0, -1), 'Canopy-Site': 'shop' },
      403,
    ],
    [
      'a tier key on the object API',
      '/v1/sites/shop/objects/a',
      { 'Canopy-Tier-Key': TIER_KEY, 'Canopy-Site': 'shop' },
      404,
    ],
    [
      'the tier key as a publish key',
      '/v1/sites/shop/objects/a',
      { Authorization: `Bearer ${TIER_KEY}` },
      403,
    ],
    ['the object API without a key', '/v1/sites/shop/objects/a', {}, 403],
    ['anyone who asks for health', '/.canopy/health', {}, 200],
  ])('%s', async (_who, path, headers, status) => {
    const { url } = await originWith({ '/a': 'secret' });
    const answer = await send(url, path, 'GET', headers);
    expect(answer.status).toBe(status);
    expect(answer.text).not.toContain('secret');
  });

  test('a refusal tells other nodes to walk on', async () => {
    const { get } = await originWith({});
    const { headers } = await get('/a', { 'Canopy-Tier-Key': 'old-tier-key-of-the-tests' });
    expect(headers['canopy-error']).toBe('forbidden');
  });

  test('health', async () => {
    const { url } = await originWith({});
    expect((await send(url, '/.canopy/health', 'GET', {})).json()).toEqual({ status: 'ok' });
  });
});
