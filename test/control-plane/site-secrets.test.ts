import { expect, test } from 'vitest';
import { TestControlPlane } from './kit.ts';

const SECRET = 'a-secret-of-the-signatures';
const TOKEN = 'Bearer token-of-the-origin';
const KEPT = '(secret, as it is)';

const site = (secret: string, authorization: string, more: object = {}) => ({
  name: 'one',
  hosts: ['one.example'],
  origin: {
    kind: 'pull',
    servers: [{ url: 'http://127.0.0.1:1' }],
    requestFields: { Authorization: authorization, 'X-Place': 'here' },
    signing: { keyId: 'k', secret },
  },
  ...more,
});

/** All that anybody may read of the sites. */
async function readable(cp: TestControlPlane): Promise<string> {
  const paths = [
    '/v1/sites',
    '/v1/sites/one',
    '/v1/config',
    '/v1/config?version=1',
    '/v1/config/versions/1',
    '/v1/config/diff?from=0',
    '/v1/journal',
    '/v1/audit',
  ];
  const answers = await Promise.all(paths.map((path) => cp.call('GET', path)));
  return JSON.stringify(answers.map(({ body }) => body));
}

/** What nodes are told, as a backup has it. */
async function kept(cp: TestControlPlane): Promise<object> {
  const headers = { authorization: 'Bearer admin-token' };
  const text = await (await fetch(`${cp.url}/v1/backup`, { headers })).text();
  const line = text.split('\n').find((one) => one.startsWith('{"site":'));
  return (JSON.parse(line ?? '{}') as { site: { origin: object } }).site.origin;
}

const secrets = (secret: string, authorization: string) => ({
  requestFields: { Authorization: authorization, 'X-Place': 'here' },
  signing: { keyId: 'k', secret },
});

test('secrets of a site are read by nobody, and kept where it is written back', async () => {
  const cp = await TestControlPlane.start();
  const put = (body: object, headers = {}) =>
    cp.call('PUT', '/v1/sites/one', body, 'admin-token', headers);
  const created = await put(site(SECRET, TOKEN));
  expect(created.body['site']).toMatchObject({ origin: secrets(KEPT, KEPT) });
  const read = await readable(cp);
  expect(read).not.toContain(SECRET);
  expect(read).not.toContain(TOKEN);
  expect(read).toContain('here');
  const { body, headers } = await cp.call('GET', '/v1/sites/one');
  expect(headers.get('etag')).toBe(created.headers.get('etag'));

  // As it was read, with one setting changed.
  const ifMatch = { 'if-match': headers.get('etag') ?? '' };
  const changed = await put({ ...body, hosts: ['two.example'] }, ifMatch);
  expect(changed.status).toBe(200);
  expect(await kept(cp)).toMatchObject(secrets(SECRET, TOKEN));
  expect(await cp.get('/v1/config/diff?from=1')).toMatchObject({
    diff: [
      { path: 'sites.one.hosts', before: 'one.example' },
      { path: 'sites.one.hosts', after: 'two.example' },
    ],
  });

  // One of the two changed: the tag tells, the difference tells no more than that.
  const other = await put(site('another-secret-of-them', KEPT));
  expect(other.headers.get('etag')).not.toBe(changed.headers.get('etag'));
  expect(await kept(cp)).toMatchObject(secrets('another-secret-of-them', TOKEN));
  expect(await cp.get('/v1/config/diff?from=2')).toMatchObject({
    diff: expect.arrayContaining([
      { path: 'sites.one.origin.signing.secret', before: '(secret)', after: '(another secret)' },
    ]),
  });
});

test('a whole configuration that was exported is applied with the secrets that there are', async () => {
  const cp = await TestControlPlane.start();
  await cp.call('PUT', '/v1/sites/one', site(SECRET, TOKEN));
  const { sites } = await cp.get<{ sites: object[] }>('/v1/config');
  const unchanged = await cp.call('POST', '/v1/config', { sites });
  expect(unchanged).toMatchObject({ status: 200, body: { version: null, diff: [] } });
  const elsewhere = await TestControlPlane.start();
  const refused = await elsewhere.call('POST', '/v1/config', { sites });
  expect(refused).toMatchObject({ status: 422, body: { code: 'invalid-input' } });
  expect(refused.body['detail']).toMatch(/origin\.requestFields\.Authorization: expected a secret/);
});

test('so are those of its other origins', async () => {
  const cp = await TestControlPlane.start();
  const { origin } = site(SECRET, TOKEN);
  const more = (one: object) => ({
    ...site('another secret of 16', 'another'),
    origins: { canary: one },
  });
  expect((await cp.call('PUT', '/v1/sites/one', more(origin))).status).toBeLessThan(300);
  const text = await readable(cp);
  expect(text).not.toContain(SECRET);
  expect(text).not.toContain(TOKEN);
  const { body } = await cp.call('GET', '/v1/sites/one');
  expect(body).toMatchObject({ origins: { canary: secrets(KEPT, KEPT) } });
  expect((await cp.call('PUT', '/v1/sites/one', body)).status).toBeLessThan(300);
  const headers = { authorization: 'Bearer admin-token' };
  const backup = await (await fetch(`${cp.url}/v1/backup`, { headers })).text();
  expect(backup).toContain(SECRET);
  expect(backup).toContain(TOKEN);
});
test('keys by which URLs are signed are read by nobody, and kept by their ids', async () => {
  const cp = await TestControlPlane.start();
  const put = (signingKeys: object[]) =>
    cp.call('PUT', '/v1/sites/one', site(SECRET, TOKEN, { signingKeys }));
  const [a, b] = [
    { id: 'a', secret: 'the-secret-of-key-a' },
    { id: 'b', secret: 'the-secret-of-key-b' },
  ];
  const created = await put([a]);
  expect(created.body['site']).toMatchObject({ signingKeys: [{ id: 'a', secret: KEPT }] });
  expect((await put([b, { id: 'a', secret: KEPT }])).status).toBe(200);
  expect(await readable(cp)).not.toContain('the-secret-of-key');
  expect(await keptKeys(cp)).toEqual([b, a]);
  const refused = await put([{ id: 'c', secret: KEPT }]);
  expect(refused).toMatchObject({ status: 422, body: { code: 'invalid-input' } });
});

async function keptKeys(cp: TestControlPlane): Promise<unknown> {
  const headers = { authorization: 'Bearer admin-token' };
  const text = await (await fetch(`${cp.url}/v1/backup`, { headers })).text();
  const line = text.split('\n').find((one) => one.startsWith('{"site":'));
  return (JSON.parse(line ?? '{}') as { site: { signingKeys: unknown } }).site.signingKeys;
}
