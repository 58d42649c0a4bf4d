import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { expect, onTestFinished } from 'vitest';
import type { SiteInput } from '#core/contract/site.ts';
import type { FakeClock } from './kit/clock.ts';
import { scenario } from './kit/scenario.ts';

const FRESH = { cacheControl: 'max-age=600' };
const ISSUER = 'https://issuer.example';

type Key = Awaited<ReturnType<typeof keyPair>>;
async function keyPair(kid: string) {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  return {
    kid,
    privateKey,
    publicKey,
    jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' },
  };
}

const token = (clock: FakeClock, key: Key, claims: JWTPayload = {}) =>
  new SignJWT({ iss: ISSUER, aud: 'films', sub: 'u1', scope: 'watch list', ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: key.kid })
    .setExpirationTime(claims.exp ?? Math.floor(clock.now() / 1000) + 300)
    .sign(key.privateKey);

const bearer = (text: string) => ({ Authorization: `Bearer ${text}` });

/** A server that has an issuer's keys. */
async function issuer(...first: readonly Key[]) {
  let keys: readonly Key[] | undefined = first;
  let asked = 0;
  const server = createServer((_, outgoing) => {
    asked++;
    if (keys === undefined) outgoing.writeHead(503).end();
    else outgoing.end(JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    has: (...now: readonly Key[]) => void (keys = now),
    isDown: () => void (keys = undefined),
    asked: () => asked,
  };
}

const requiring = (requireToken: object): Partial<SiteInput> => ({
  rules: [{ match: { path: '/film/**' }, requireToken: { issuer: ISSUER, ...requireToken } }],
});

scenario(
  'who has a valid token shares what is stored, and the origin sees no token',
  async (world) => {
    const { origin, edge, clock, changeSite } = world;
    const key = await keyPair('a');
    changeSite(requiring({ keys: [key.jwk], audience: ['films'], scopes: ['watch'] }));
    origin.notes('authorization');
    origin.answers('/film/1', FRESH);
    const one = bearer(await token(clock, key));
    const other = bearer(await token(clock, key, { sub: 'u2' }));
    await edge().get('/film/1', one).sees({ status: 200, edge: 'uri-miss' });
    await edge().get('/film/1', one).sees({ status: 200, edge: 'fresh' });
    await edge().get('/film/1', other).sees({ status: 200, edge: 'fresh' });
    origin.saw('GET /film/1');
    const refused = await edge().get('/film/1').sees({ status: 401, edge: 'token-missing' });
    expect(refused.headers['www-authenticate']).toBe('Bearer realm="site"');
  },
);

scenario('tokens are refused for what is wrong with them', async (world) => {
  const { edge, clock, changeSite } = world;
  const key = await keyPair('a');
  const stranger = await keyPair('a');
  changeSite(
    requiring({
      keys: [key.jwk],
      audience: ['films'],
      scopes: ['watch'],
      claims: { plan: 'gold', groups: 'staff' },
      algorithms: ['ES256', 'HS256'],
    }),
  );
  const good = { plan: 'gold', groups: ['staff', 'press'] };
  const past = Math.floor(clock.now() / 1000) - 60;
  const later = Math.floor(clock.now() / 1000) + 60;
  const parts = (await token(clock, key, good)).split('.');
  const spki = await exportSPKI(key.publicKey);
  const symmetric = (secret: string, kid: string) =>
    new SignJWT({ iss: ISSUER, aud: 'films', scope: 'watch', ...good })
      .setProtectedHeader({ alg: 'HS256', kid })
      .setExpirationTime('5m')
      .sign(Buffer.from(secret));
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${parts[1]}.`;
  const rows: readonly [string, string, number, string][] = [
    ['a stranger', await token(clock, stranger, good), 401, 'token-invalid'],
    ['the past', await token(clock, key, { ...good, exp: past }), 401, 'token-expired'],
    ['the future', await token(clock, key, { ...good, nbf: later }), 401, 'token-invalid'],
    ['another issuer', await token(clock, key, { ...good, iss: 'x' }), 401, 'token-invalid'],
    ['another audience', await token(clock, key, { ...good, aud: 'x' }), 401, 'token-invalid'],
    ['no signature', `${parts[0]}.${parts[1]}.`, 401, 'token-invalid'],
    ['the algorithm none', none, 401, 'token-invalid'],
    ['the public key as a secret', await symmetric(spki, 'a'), 401, 'token-invalid'],
    ['no token at all', 'nonsense', 401, 'token-invalid'],
    [
      'a lack of scope',
      await token(clock, key, { ...good, scope: 'list' }),
      403,
      'token-insufficient',
    ],
    ['another plan', await token(clock, key, { ...good, plan: 'free' }), 403, 'token-insufficient'],
    ['another group', await token(clock, key, { ...good, groups: [] }), 403, 'token-insufficient'],
  ];
  for (const [, text, status, code] of rows) {
    const { headers } = await edge().get('/film/1', bearer(text)).sees({ status, edge: code });
    const error = status === 401 ? 'invalid_token' : 'insufficient_scope';
    expect(headers['www-authenticate']).toContain(`error="${error}"`);
  }
});

scenario('a token that was good is refused once it has expired', async (world) => {
  const { origin, edge, clock, changeSite } = world;
  const key = await keyPair('a');
  changeSite(requiring({ keys: [key.jwk] }));
  origin.answers('/film/1', FRESH);
  const one = bearer(await token(clock, key));
  await edge().get('/film/1', one).sees({ status: 200 });
  clock.advance('309s');
  await edge().get('/film/1', one).sees({ status: 200 });
  clock.advance('2s');
  await edge().get('/film/1', one).sees({ status: 401, edge: 'token-expired' });
});

scenario(
  "an issuer's keys are fetched once, anew for an unknown one, and kept when it is down",
  async (world) => {
    const { origin, edge, clock, changeSite } = world;
    const [first, second, third] = [await keyPair('1'), await keyPair('2'), await keyPair('3')];
    const server = await issuer(first);
    changeSite(requiring({ jwks: server.url }));
    origin.answers('/film/1', FRESH);
    const get = async (key: Key) =>
      edge().get('/film/1', bearer(await token(clock, key, { exp: clock.now() / 1000 + 90_000 })));
    const both = await Promise.all([get(first), get(first)]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    expect(server.asked()).toBe(1);

    server.has(second);
    expect((await get(second)).status).toBe(401);
    expect(server.asked()).toBe(1);
    clock.advance('30s');
    expect((await get(second)).status).toBe(200);
    expect((await get(first)).status).toBe(401);
    expect((await get(third)).status).toBe(401);
    expect(server.asked()).toBe(2);

    server.isDown();
    clock.advance('11m');
    expect((await get(second)).status).toBe(200);
    await expect.poll(() => server.asked()).toBe(3);
    clock.advance('1h');
    expect((await get(second)).status).toBe(200);
  },
);

scenario(
  'without any key of the issuer nobody is let in, and the client may try again',
  async (world) => {
    const { origin, edge, clock, changeSite } = world;
    const key = await keyPair('1');
    const server = await issuer();
    server.isDown();
    changeSite(requiring({ jwks: server.url }));
    origin.answers('/film/1', FRESH);
    const one = bearer(await token(clock, key));
    await edge().get('/film/1', one).sees({ status: 503, edge: 'keys-unavailable' });
    await edge().get('/film/1', one).sees({ status: 503 });
    expect(server.asked()).toBe(1);
    server.has(key);
    clock.advance('5s');
    await edge().get('/film/1', one).sees({ status: 200 });
  },
);

scenario(
  'tokens come by cookie or query, too, with a shared secret, and count for a limit',
  async (world) => {
    const { origin, edge, clock, changeSite } = world;
    const secret = 'a secret that the issuer shares';
    const shared = (sub: string) =>
      new SignJWT({ iss: ISSUER, sub })
        .setProtectedHeader({ alg: 'HS256', kid: 'k' })
        .setExpirationTime(Math.floor(clock.now() / 1000) + 300)
        .sign(Buffer.from(secret));
    const requirement = { issuer: ISSUER, algorithms: ['HS256' as const] };
    changeSite({
      signingKeys: [{ id: 'k', secret }],
      rules: [
        { match: { path: '/q' }, requireToken: { ...requirement, from: { query: 'token' } } },
        { match: { path: '/c' }, requireToken: { ...requirement, from: { cookie: 'session' } } },
        { rateLimit: { requests: 2, windowSeconds: 60, by: 'token' } },
        { requestHeaders: { set: { 'X-User': '${token.sub}' } } },
      ],
    });
    origin.notes('x-user', 'cookie');
    origin.answers('/q?a=1', FRESH);
    origin.answers('/c', FRESH);
    const [one, other] = [await shared('u1'), await shared('u2')];
    await edge().get(`/q?token=${one}&a=1`).sees({ status: 200 });
    origin.saw('GET /q?a=1 x-user u1');
    await edge()
      .get('/c', { Cookie: `session=${one}; b=c` })
      .sees({ status: 200 });
    origin.saw('GET /c x-user u1 cookie b=c');
    await edge().get(`/q?token=${one}&a=1`).sees({ status: 429 });
    await edge().get(`/q?a=1&token=${other}`).sees({ status: 200, edge: 'fresh' });
    changeSite({
      signingKeys: [{ id: 'k', secret: 'a secret that is new' }],
      rules: [
        { match: { path: '/q' }, requireToken: { ...requirement, from: { query: 'token' } } },
      ],
    });
    await edge().get(`/q?token=${one}&a=1`).sees({ status: 401, edge: 'token-invalid' });
  },
);

scenario(
  'a browser asks beforehand without a token, and what it then sends needs one',
  {
    site: {
      signingKeys: [{ id: 'k', secret: 'a secret that the issuer shares' }],
      rules: [
        { cors: { origins: ['https://app.example'], headers: ['authorization'] } },
        { requireToken: { issuer: ISSUER, algorithms: ['HS256'] } },
      ],
    },
  },
  async ({ edge }) => {
    const origin = { Origin: 'https://app.example' };
    const preflight = {
      ...origin,
      'Access-Control-Request-Method': 'GET',
      'Access-Control-Request-Headers': 'authorization',
    };
    await edge().send('/a', { method: 'OPTIONS', headers: preflight }).sees({ status: 204 });
    await edge()
      .get('/a', origin)
      .sees({
        status: 401,
        edge: 'token-missing',
        headers: { 'access-control-allow-origin': 'https://app.example' },
      });
  },
);
