import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Signing, signedCookie, signUrl } from '#client/sign.ts';
import { requireSignatureSchema } from '#core/contract/rules/guards.ts';
import { CanopyError } from '#core/errors.ts';
import { readRequest } from '#core/http/request.ts';
import { RequestFacts } from '#core/rules/facts.ts';
import { signedRequirement } from '#core/rules/guards/signed-url.ts';

const KEY = { id: 'k1', secret: 'a secret of tests' };
const OTHER = { id: 'k2', secret: 'another secret of tests' };
const NOW = Date.UTC(2026, 0, 1);
const inSeconds = (seconds: number): Date => new Date(NOW + seconds * 1000);
const URL_A = 'https://www.example.org/film/a.mp4?quality=high';

interface Asked {
  readonly url: string;
  readonly address?: string;
  readonly cookie?: string;
  readonly settings?: object;
  readonly keys?: readonly (typeof KEY)[];
  readonly now?: Date;
}

/** The code of the refusal; `undefined`: the request is let in. */
function refusal({ url, address = '192.0.2.7', cookie, settings, keys, now }: Asked) {
  const { host, href, origin } = new URL(url);
  const request = readRequest({
    method: 'GET',
    target: href.slice(origin.length),
    fields: ['Host', host, ...(cookie === undefined ? [] : ['Cookie', cookie])],
    encrypted: true,
  });
  const facts = new RequestFacts(request, address, {
    countryOf: () => 'ZZ',
    asnOf: () => undefined,
  });
  const requirement = signedRequirement(requireSignatureSchema.parse(settings ?? {}));
  try {
    requirement.check(facts, keys ?? [KEY], (now ?? inSeconds(0)).getTime());
    return undefined;
  } catch (error) {
    if (error instanceof CanopyError) return error.code;
    throw error;
  }
}

const signed = (more: Partial<Signing> = {}, url = URL_A) =>
  signUrl(url, { key: KEY, expires: inSeconds(60), ...more });
const altered = (url: string, from: string, to: string): string => {
  expect(url).toContain(from);
  return url.replace(from, to);
};

test.each<[string, () => Promise<Asked>, string | undefined]>([
  ['a signed URL', async () => ({ url: await signed() }), undefined],
  ['no signature', async () => ({ url: URL_A }), 'signature-missing'],
  [
    'another path',
    async () => ({ url: altered(await signed(), 'a.mp4', 'b.mp4') }),
    'signature-invalid',
  ],
  [
    'another query',
    async () => ({ url: altered(await signed(), 'high', 'low') }),
    'signature-invalid',
  ],
  ['a further parameter', async () => ({ url: `${await signed()}&x=1` }), 'signature-invalid'],
  [
    'another end',
    async () => ({ url: altered(await signed(), '~e=1', '~e=2') }),
    'signature-invalid',
  ],
  [
    'no signature field',
    async () => ({ url: `${URL_A}&canopy-signature=v=1~k=k1` }),
    'signature-invalid',
  ],
  ['an empty signature', async () => ({ url: `${URL_A}&canopy-signature=` }), 'signature-invalid'],
  [
    'an empty MAC',
    async () => ({ url: (await signed()).replace(/~s=.*/, '~s=') }),
    'signature-invalid',
  ],
  [
    'an unknown field',
    async () => ({ url: altered(await signed(), '~e=', '~x=1~e=') }),
    'signature-invalid',
  ],
  [
    'a field twice',
    async () => ({ url: altered(await signed(), '~e=', '~k=k1~e=') }),
    'signature-invalid',
  ],
  [
    'another version',
    async () => ({ url: altered(await signed(), 'v=1', 'v=2') }),
    'signature-invalid',
  ],
  [
    'what a client encodes',
    async () => ({ url: (await signed()).replaceAll('~', '%7E') }),
    undefined,
  ],
  [
    'another key of the site',
    async () => ({ url: await signed({ key: OTHER }), keys: [KEY, OTHER] }),
    undefined,
  ],
  [
    'a key that was withdrawn',
    async () => ({ url: await signed({ key: OTHER }) }),
    'signature-invalid',
  ],
  [
    'a key that the rule does not take',
    async () => ({
      url: await signed({ key: OTHER }),
      keys: [KEY, OTHER],
      settings: { keys: ['k1'] },
    }),
    'signature-invalid',
  ],
  [
    "one key's id with another's secret",
    async () => ({ url: await signed({ key: { id: 'k1', secret: OTHER.secret } }) }),
    'signature-invalid',
  ],
  ['the last second', async () => ({ url: await signed(), now: inSeconds(70) }), undefined],
  ['too late', async () => ({ url: await signed(), now: inSeconds(71) }), 'signature-expired'],
  [
    'too early',
    async () => ({ url: await signed({ notBefore: inSeconds(11) }) }),
    'signature-invalid',
  ],
  [
    'early by the skew',
    async () => ({ url: await signed({ notBefore: inSeconds(10) }) }),
    undefined,
  ],
  ['the address', async () => ({ url: await signed({ address: '192.0.2.7' }) }), undefined],
  ['its network', async () => ({ url: await signed({ address: '192.0.2.0/24' }) }), undefined],
  [
    'another address',
    async () => ({ url: await signed({ address: '192.0.2.8' }) }),
    'signature-invalid',
  ],
  [
    'an address of IPv6',
    async () => ({ url: await signed({ address: '2001:db8::/32' }), address: '2001:db8::1' }),
    undefined,
  ],
  ['the host', async () => ({ url: await signed({ bindHost: true }) }), undefined],
  ['another host', async () => ({ url: altered(await signed(), 'www.', 'm.') }), undefined],
  [
    'another host than that it is bound to',
    async () => ({ url: altered(await signed({ bindHost: true }), 'www.', 'm.') }),
    'signature-invalid',
  ],
  [
    'another URL of the prefix',
    async () => ({
      url: altered(await signed({ prefix: '/film/' }), 'a.mp4?quality=high', 'b/c.ts?x=1'),
    }),
    undefined,
  ],
  [
    'a way out of the prefix',
    async () => ({
      url: altered(await signed({ prefix: '/film/' }), 'film/a', 'film/%2e%2e/secret/a'),
    }),
    'signature-invalid',
  ],
  [
    'a cookie where only the query counts',
    async () => ({ url: URL_A, cookie: await cookieFor(), settings: { in: 'query' } }),
    'signature-missing',
  ],
  [
    'a query where only the cookie counts',
    async () => ({ url: await signed(), settings: { in: 'cookie' } }),
    'signature-missing',
  ],
  ['a cookie', async () => ({ url: URL_A, cookie: `a=b; ${await cookieFor()}` }), undefined],
  [
    'a cookie of another prefix',
    async () => ({ url: URL_A, cookie: await cookieFor('/b/') }),
    'signature-invalid',
  ],
  [
    'one of two cookies',
    async () => ({ url: URL_A, cookie: `${await cookieFor('/b/')}; ${await cookieFor()}` }),
    undefined,
  ],
  [
    'another name',
    async () => ({ url: await signed({ name: 'sig' }), settings: { name: 'sig' } }),
    undefined,
  ],
])('%s: %s', async (_, asked, expected) => {
  expect(refusal(await asked())).toBe(expected);
});

async function cookieFor(prefix = '/film/'): Promise<string> {
  const setCookie = await signedCookie(URL_A, { key: KEY, expires: inSeconds(60), prefix });
  expect(setCookie).toContain(
    `; Path=${prefix}; Expires=Thu, 01 Jan 2026 00:01:00 GMT; HttpOnly; `,
  );
  return setCookie.split(';', 1)[0] ?? '';
}

test('whatever a path is spelled like, signer and edge agree on it', async () => {
  const spelling = fc.stringMatching(
    /^\/(?:[a-zA-Z0-9/._~!$&'()*+,;=:@|^[\]{}"<> ü€-]|%[2-7][0-9a-fA-F]){0,30}$/,
  );
  await fc.assert(
    fc.asyncProperty(spelling, fc.boolean(), async (path, isPrefix) => {
      const url = `https://www.example.org${path}`;
      fc.pre(!path.startsWith('//'));
      const prefix = isPrefix ? { prefix: path } : {};
      expect(refusal({ url: await signed(prefix, url) })).toBeUndefined();
    }),
  );
});

test.each<[string, Partial<Signing>]>([
  ['a prefix without slash', { prefix: 'film' }],
  ['a prefix with a query', { prefix: '/film?x' }],
  ['an address that is none', { address: 'here~e=9' }],
  ['the id of a key that is none', { key: { id: 'a~b', secret: 's' } }],
  ['no date', { expires: new Date(NaN) }],
])('%s is not signed', async (_, more) => {
  await expect(signed(more)).rejects.toThrow(TypeError);
});
