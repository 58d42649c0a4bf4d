import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { readCertificate } from '#control-plane/certificates/read.ts';
import { type Issued, TestAuthority } from '#test/tls/authority.ts';
import { TestControlPlane } from './kit.ts';

let root: TestAuthority;
let between: TestAuthority;
let film: Issued;
beforeAll(async () => {
  root = await TestAuthority.create();
  between = await TestAuthority.create('Canopy test intermediate', root);
  film = await between.issue({ names: ['www.film.example', '*.cdn.film.example'] });
});

const otherKey = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
});
const DAY_MS = 86_400_000;
const given = (chain: string, key: string, privateAuthority = true) => ({
  chain,
  key,
  privateAuthority,
});
const chainOf = (...parts: string[]): string => parts.join('');

async function started(): Promise<TestControlPlane> {
  const cp = await TestControlPlane.start();
  cp.clock.advance(`${Date.now() - cp.clock.now()}ms`);
  await cp.addSite('film', 'www.film.example', 'a.cdn.film.example');
  await cp.addSite('song', 'song.example');
  return cp;
}

const said = (one: Issued) => () => readCertificate(given(one.cert, one.key), Date.now());

const whole = () => ({
  chain: chainOf(film.cert, between.ca),
  key: film.key,
  privateAuthority: true,
});

describe('a certificate is read', () => {
  test('with its names, its issuer and its life', () => {
    const read = readCertificate(given(chainOf(film.cert, between.ca), film.key), Date.now());
    expect(read).toMatchObject({
      names: ['www.film.example', '*.cdn.film.example'],
      issuer: 'CN=Canopy test intermediate',
      keyType: 'EC prime256v1',
    });
    expect(read.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  });

  test.for<[string, () => ReturnType<typeof given>, RegExp]>([
    ['another key', () => given(film.cert, otherKey), /key: expected the key of the/],
    ['no certificate', () => given('nothing', film.key), /chain: expected certificates in PEM/],
    ['no key', () => given(film.cert, 'nothing'), /key: expected a private key in PEM/],
    [
      'a chain in another order',
      () => given(chainOf(film.cert, root.ca, between.ca), film.key),
      /chain\.1: expected the certificate of CN=Canopy test intermediate/,
    ],
    [
      'an authority that browsers do not know',
      () => given(chainOf(film.cert, between.ca), film.key, false),
      /chain: expected all certificates up to an authority that browsers know/,
    ],
  ])('not with %s', ([, make, what]) => {
    expect(() => readCertificate(make(), Date.now())).toThrow(what);
  });

  test('not with a key that has a passphrase, nor does the error show it', () => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'prime256v1',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' },
    });
    expect(() => readCertificate(given(film.cert, privateKey), Date.now())).toThrow(
      /received one with a passphrase$/,
    );
  });

  test('not before it is valid, not after, not without names, not for clients', async () => {
    const early = await root.issue({ names: ['a.example'], notBefore: Date.now() + DAY_MS });
    const late = await root.issue({ names: ['a.example'], notAfter: Date.now() - 1 });
    const nameless = await root.issue({ names: [] });
    const client = await root.issue({ names: ['a.example'], clientOnly: true });
    expect(said(early)).toThrow(/one that is valid now/);
    expect(said(late)).toThrow(/one that has not expired/);
    expect(said(nameless)).toThrow(/one with DNS names/);
    expect(said(client)).toThrow(/one for TLS servers/);
  });
});

describe('the API', () => {
  test('takes a certificate, tells nodes of it without the key, and never shows the key', async () => {
    const cp = await started();
    const put = await cp.call('PUT', '/v1/certificates/film', { ...whole(), site: 'film' });
    expect(put).toMatchObject({
      status: 200,
      body: { certificate: { hosts: ['www.film.example', 'a.cdn.film.example'] } },
    });
    const texts = await Promise.all(
      ['/v1/certificates', '/v1/certificates/film', '/v1/journal', '/v1/audit'].map(async (path) =>
        JSON.stringify((await cp.call('GET', path)).body),
      ),
    );
    const secret = film.key.split('\n')[1] ?? '';
    for (const text of [JSON.stringify(put.body), ...texts]) {
      expect(text).not.toContain('PRIVATE KEY');
      expect(text).not.toContain(secret);
    }
    expect(texts[2]).toContain('"certificate.put"');
    expect(await cp.get('/v1/certificates/film')).toMatchObject({
      chain: chainOf(film.cert, between.ca).replaceAll('\n\n', '\n'),
    });
  });

  test('gives the key to edges, and to no other node', async () => {
    const cp = await started();
    await cp.call('PUT', '/v1/certificates/film', whole());
    const ask = async (tier: 'edge' | 'mid-tier') => {
      const credential = await cp.addNode(`a-${tier}`, tier);
      return cp.call('GET', '/v1/node/certificates/film', undefined, credential);
    };
    expect(await ask('edge')).toMatchObject({ status: 200, body: { key: film.key } });
    expect(await ask('mid-tier')).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  test('gives edges the secrets of session tickets, the same to all, and to no other node', async () => {
    const cp = await started();
    const ask = async (name: string, tier: 'edge' | 'mid-tier') =>
      cp.call('GET', '/v1/node/ticket-secrets', undefined, await cp.addNode(name, tier));
    const [one, two] = [await ask('one', 'edge'), await ask('two', 'edge')];
    expect(one.body['secrets']).toHaveLength(1);
    expect(two.body).toEqual(one.body);
    expect((await ask('shield', 'mid-tier')).status).toBe(403);
  });

  test('wants every host of the site covered', async () => {
    const cp = await started();
    const put = await cp.call('PUT', '/v1/certificates/film', { ...whole(), site: 'song' });
    expect(put).toMatchObject({ status: 422, body: { code: 'invalid-input' } });
    expect(put.body['detail']).toContain('song.example among them');
  });

  test('holds tokens to their sites', async () => {
    const cp = await started();
    const token = await cp.addToken('film-team', ['configure', 'read'], ['film']);
    const put = (name: string, body: object) =>
      cp.call('PUT', `/v1/certificates/${name}`, body, token);
    expect((await put('film', whole())).status).toBe(403);
    expect((await put('film', { ...whole(), site: 'film' })).status).toBe(200);
    await cp.call('PUT', '/v1/certificates/all', whole());
    expect((await put('all', { ...whole(), site: 'film' })).status).toBe(403);
    expect((await cp.call('DELETE', '/v1/certificates/all', undefined, token)).status).toBe(403);
    const seen = await cp.call('GET', '/v1/certificates', undefined, token);
    expect(seen.body['items']).toMatchObject([{ name: 'film' }]);
    expect((await cp.call('GET', '/v1/certificates/all', undefined, token)).status).toBe(404);
  });

  test('forgets a certificate with its key, keeps the others over a restart', async () => {
    const cp = await started();
    await cp.call('PUT', '/v1/certificates/a', whole());
    await cp.call('PUT', '/v1/certificates/b', whole());
    expect((await cp.call('DELETE', '/v1/certificates/a')).status).toBe(200);
    await cp.stop();
    await cp.start();
    expect((await cp.call('GET', '/v1/certificates/a')).status).toBe(404);
    expect(await cp.list('/v1/certificates')).toMatchObject([{ name: 'b' }]);
    expect((await cp.call('DELETE', '/v1/certificates/a')).body['code']).toBe('not-found');
  });
});
