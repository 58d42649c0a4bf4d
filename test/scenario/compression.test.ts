import { type IncomingMessage, request } from 'node:http';
import {
  brotliCompressSync,
  brotliDecompressSync,
  createGunzip,
  gunzipSync,
  gzipSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib';
import { expect } from 'vitest';
import type { Seen, Sight } from './kit/client.ts';
import { scenario } from './kit/scenario.ts';
import { until } from './kit/until.ts';

const ON = { site: { compression: { enabled: true } } };
const PAGE = '<p>A line that comes again and again.</p>\n'.repeat(100);
const page = (body = PAGE, etag = '"1"') =>
  ({ cacheControl: 'max-age=60', etag, fields: { 'Content-Type': 'text/html' }, body }) as const;

const takes = (codings: string) => ({ 'Accept-Encoding': codings });
const BROWSER = takes('gzip, deflate, br, zstd');

const UNPACK = { br: brotliDecompressSync, gzip: gunzipSync, zstd: zstdDecompressSync };

async function unpacked(
  sight: Sight,
  coding: keyof typeof UNPACK,
): Promise<Seen & { text: string }> {
  const seen = await sight;
  expect(seen.headers).toMatchObject({
    'content-encoding': coding,
    vary: expect.stringMatching(/accept-encoding/i),
  });
  return { ...seen, text: UNPACK[coding](seen.body).toString() };
}

const describing = ({ headers }: Seen) => {
  const { 'content-length': length, 'content-encoding': coding, etag, vary, age } = headers;
  return { length, coding, etag, vary, age };
};

const tagged = (text: string, etag = `"${text}"`) => ({
  ...page(`${text} `.repeat(600), etag),
  fields: { 'Content-Type': 'text/html', 'Cache-Tag': 'news' },
});

const numbers = (version: number) =>
  Array.from({ length: 9000 }, (_, i) => `${version} ${i * i}\n`).join('');

scenario(
  'a page is sent compressed as it comes, and from a copy of its own afterwards',
  ON,
  async ({ origin, edge }) => {
    origin.answers('/a', page());
    const first = await unpacked(edge().get('/a', BROWSER), 'br');
    expect(first.text).toBe(PAGE);
    expect(first.headers).toMatchObject({ etag: 'W/"1-br"' });
    expect(first.headers['content-length']).toBeUndefined();
    const second = await unpacked(edge().get('/a', BROWSER), 'br');
    expect(second.text).toBe(PAGE);
    expect(second.headers.etag).toMatch(/^"1-br-[0-9a-f]{8}"$/);
    expect(second.headers['content-length']).toBe(String(second.body.length));
    const third = await unpacked(edge().get('/a', BROWSER), 'br');
    expect(third.headers).toMatchObject({ etag: second.headers.etag });
    origin.saw('GET /a');
  },
);

scenario('each client gets what it takes best, made of one fetch', ON, async ({ origin, edge }) => {
  origin.answers('/a', page());
  for (const [accepts, coding] of [
    ['gzip, zstd', 'zstd'],
    ['gzip', 'gzip'],
    ['br;q=0.1, gzip', 'gzip'],
    ['*', 'br'],
  ] as const) {
    for (const _ of ['made', 'stored']) {
      const seen = await unpacked(edge().get('/a', takes(accepts)), coding);
      expect(seen.text).toBe(PAGE);
    }
  }
  for (const headers of [{}, takes('identity'), takes('br;q=0, deflate')]) {
    await edge()
      .get('/a', headers)
      .sees({
        body: PAGE,
        headers: { vary: 'Accept-Encoding', etag: '"1"', 'content-encoding': undefined },
      });
  }
  origin.saw('GET /a');
});

scenario('HEAD says what GET would', ON, async ({ origin, edge }) => {
  origin.answers('/a', page());
  origin.answersTo('HEAD /a', page());
  await edge().get('/a', BROWSER);
  const head = await edge().send('/a', { method: 'HEAD', headers: BROWSER });
  const get = await edge().get('/a', BROWSER);
  expect(describing(head)).toEqual(describing(get));
  expect(head.headers['content-length']).toBe(String(get.body.length));
});

scenario('conditions are of what the client has', ON, async ({ origin, edge }) => {
  origin.answers('/a', page());
  const first = await edge().get('/a', BROWSER);
  const second = await edge().get('/a', BROWSER);
  const given = (tag: string | undefined) => ({ ...BROWSER, 'If-None-Match': tag ?? '' });
  for (const tag of [first.headers.etag, second.headers.etag, `"x", ${second.headers.etag}`]) {
    const headers = { etag: second.headers.etag, vary: 'Accept-Encoding' };
    await edge().get('/a', given(tag)).sees({ status: 304, body: '', headers });
  }
  await edge().get('/a', given('"1"')).sees({ status: 200 });
  await edge().get('/a', given('"1-gzip"')).sees({ status: 200 });
  await edge()
    .get('/a', { 'If-None-Match': '"1"' })
    .sees({ status: 304, headers: { etag: '"1"', vary: 'Accept-Encoding' } });
  await edge()
    .get('/a', { 'If-None-Match': second.headers.etag ?? '' })
    .sees({ status: 200, body: PAGE });
  origin.saw('GET /a');
});

scenario(
  'a client that has what is fetched anew is told so, and nobody compresses for that',
  ON,
  async ({ origin, edge, clock }) => {
    origin.answers('/a', page());
    const { headers } = await edge().get('/a', BROWSER);
    clock.advance('61s');
    const given = { ...BROWSER, 'If-None-Match': headers.etag ?? '' };
    await edge()
      .get('/a', given)
      .sees({ status: 304, edge: 'stale', headers: { etag: expect.stringMatching(/1-br/) } });
    origin.saw('GET /a', 'GET /a if-none-match "1"');
  },
);

scenario('ranges are of the compressed content', ON, async ({ origin, edge }) => {
  origin.answers('/a', page());
  await edge().get('/a', BROWSER);
  const whole = await edge().get('/a', BROWSER);
  const size = whole.body.length;
  const part = { ...BROWSER, Range: 'bytes=10-19' };
  const partial = {
    status: 206,
    body: whole.body.subarray(10, 20),
    headers: {
      'content-range': `bytes 10-19/${size}`,
      'content-encoding': 'br',
      etag: whole.headers.etag,
    },
  };
  await edge().get('/a', part).sees(partial);
  await edge()
    .get('/a', { ...part, 'If-Range': whole.headers.etag ?? '' })
    .sees(partial);
  await edge()
    .get('/a', { ...part, 'If-Range': 'W/"1-br"' })
    .sees({ status: 200, body: whole.body });
  await edge()
    .get('/a', { ...part, 'If-Range': '"1"' })
    .sees({ status: 200, body: whole.body });
  await edge()
    .get('/a', { Range: 'bytes=0-9', 'If-Range': '"1"' })
    .sees({ status: 206, body: PAGE.slice(0, 10), headers: { 'content-encoding': undefined } });
});

scenario(
  'a part that is asked for before all is compressed comes as it is',
  ON,
  async ({ origin, edge }) => {
    origin.answers('/a', page());
    await edge().get('/a');
    await edge()
      .get('/a', { ...takes('gzip'), Range: 'bytes=0-9' })
      .sees({
        status: 206,
        body: PAGE.slice(0, 10),
        headers: { vary: 'Accept-Encoding', etag: '"1"' },
      });
  },
);

scenario(
  'a compressed copy goes with what it was made of',
  ON,
  async ({ origin, edge, clock, purge }) => {
    const kinds = [
      ['/a'],
      { kind: 'tags', site: 'site', tags: ['news'] },
      { kind: 'prefixes', site: 'site', prefixes: ['www.example.org/a'] },
      'everything',
    ] as const;
    let version = 0;
    origin.answers('/a', tagged('v0'));
    for (const mode of ['hard', 'soft'] as const) {
      for (const what of kinds) {
        for (const _ of ['made', 'stored']) {
          const seen = await unpacked(edge().get('/a', BROWSER), 'br');
          expect(seen.text).toBe(`v${version} `.repeat(600));
        }
        // An origin that gives another content the same tag is what purges are for.
        origin.answers('/a', tagged(`v${++version}`, mode === 'hard' ? '"v0"' : undefined));
        if (mode === 'soft') clock.advance('1s');
        purge(what as Parameters<typeof purge>[0], mode);
      }
    }
    const seen = await unpacked(edge().get('/a', BROWSER), 'br');
    expect(seen.text).toBe(`v${version} `.repeat(600));
  },
);

scenario(
  'a copy lasts while its source is validated, with the fields that it has then',
  ON,
  async ({ origin, edge, clock }) => {
    origin.answers('/a', page(), {
      ...page(),
      fields: { 'Content-Type': 'text/html', 'X-Seen': '2' },
    });
    await edge().get('/a', BROWSER);
    const before = await edge().get('/a', BROWSER);
    clock.advance('61s');
    await edge().get('/a').sees({ edge: 'stale' });
    await edge()
      .get('/a', BROWSER)
      .sees({
        edge: 'fresh',
        age: 0,
        body: before.body,
        headers: { 'x-seen': '2', etag: before.headers.etag },
      });
    origin.saw('GET /a', 'GET /a if-none-match "1"');
  },
);

scenario(
  'what is purged while it is compressed is not kept',
  { site: { compression: { enabled: true, storedLevels: { br: 11 } } } },
  async ({ origin, edge, purge }) => {
    origin.answers('/a', page(numbers(1)));
    await edge().get('/a');
    const lookups = (): number => edge().node.engine.store.stats()[0]?.lookups ?? 0;
    const before = lookups();
    const making = unpacked(edge().get('/a', BROWSER), 'br');
    // For the source, and for what was made of it.
    await until(() => lookups() >= before + 2);
    origin.answers('/a', page(numbers(2)));
    purge(['/a']);
    await making;
    for (const _ of ['made', 'stored']) {
      const seen = await unpacked(edge().get('/a', BROWSER), 'br');
      expect(seen.text).toBe(numbers(2));
    }
  },
);

scenario('all who ask at once get one copy', ON, async ({ origin, edge }) => {
  origin.answers('/a', page());
  await edge().get('/a');
  const seen = await Promise.all(Array.from({ length: 20 }, () => edge().get('/a', BROWSER)));
  expect(new Set(seen.map(({ headers }) => headers.etag)).size).toBe(1);
  expect(edge().node.engine.store.volume().objects).toBe(2);
});

const SENT_AS_IT_IS: readonly (readonly [string, Parameters<typeof answer>[0]])[] = [
  ['an image', { type: 'image/png' }],
  ['an event stream', { type: 'text/event-stream' }],
  ['what is not to be transformed', { cacheControl: 'max-age=60, no-transform' }],
  ['what is small', { body: 'small' }],
  ['what is in a coding that is not known', { coding: 'x-own' }],
  ['what has no type', { type: '' }],
];

const answer = ({
  type = 'text/html',
  cacheControl = 'max-age=60',
  body = PAGE as string | Buffer,
  coding = '',
}) => ({
  cacheControl,
  body,
  etag: '"1"',
  fields: {
    ...(type !== '' && { 'Content-Type': type }),
    ...(coding !== '' && { 'Content-Encoding': coding }),
  },
});

for (const [what, given] of SENT_AS_IT_IS) {
  scenario(`${what} is sent as it is`, ON, async ({ origin, edge }) => {
    const sent = answer(given);
    origin.answers('/a', sent);
    const headers = { etag: '"1"', 'content-encoding': given.coding, vary: undefined };
    for (const _ of ['missed', 'hit']) {
      await edge().get('/a', BROWSER).sees({ body: sent.body, headers });
    }
  });
}

scenario('a client may forbid to transform', ON, async ({ origin, edge }) => {
  origin.answers('/a', page());
  await edge()
    .get('/a', { ...BROWSER, 'Cache-Control': 'no-transform' })
    .sees({ body: PAGE, headers: { 'content-encoding': undefined } });
});

scenario(
  'what one client alone gets is compressed as it passes, or not if the site has it so',
  ON,
  async ({ origin, edge, changeSite }) => {
    origin.answers('/a', { ...page(), cacheControl: 'no-store' });
    for (const _ of ['learnt', 'known']) {
      const seen = await unpacked(edge().get('/a', BROWSER), 'br');
      expect(seen.text).toBe(PAGE);
    }
    origin.answersTo('POST /a', { ...page(), cacheControl: 'no-store' });
    const posted = edge().send('/a', { method: 'POST', content: 'x', headers: BROWSER });
    expect((await unpacked(posted, 'br')).text).toBe(PAGE);
    changeSite({ compression: { enabled: true, unstored: false } });
    await edge().get('/a', BROWSER).sees({ body: PAGE });
    await edge().get('/a', BROWSER).sees({ body: PAGE });
  },
);

scenario(
  'conditions of what is passed on are told by the tags of the origin',
  ON,
  async ({ origin, edge }) => {
    origin.notes('if-match');
    origin.answers('/a', { ...page(), cacheControl: 'no-store' });
    const { headers } = await edge().get('/a', BROWSER);
    origin.answersTo('PUT /a', { status: 204 });
    await edge()
      .get('/a', { ...BROWSER, 'If-None-Match': headers.etag ?? '' })
      .sees({ status: 304, headers: { etag: 'W/"1-br"' } });
    const put = { method: 'PUT', content: 'x', headers: { 'If-Match': '"1-br-00000000"' } };
    await edge().send('/a', put).sees({ status: 204 });
    origin.saw('GET /a', 'GET /a if-none-match "1"', 'PUT /a if-match "1"');
  },
);

scenario(
  'a client hears what has come of a page that pauses',
  ON,
  async ({ origin, edge, gate }) => {
    const rest = gate();
    origin.answers('/a', { ...page(), pausesAt: { bytes: 2000, gate: rest } });
    const { hostname, port } = new URL(edge().url);
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { Host: 'www.example.org', ...takes('gzip') };
      request({ hostname, port, path: '/a', headers }, resolve).once('error', reject).end();
    });
    const gunzip = incoming.pipe(createGunzip());
    let text = '';
    for await (const chunk of gunzip) {
      text += String(chunk);
      if (text.length === 2000) rest.open();
    }
    expect(text).toBe(PAGE);
  },
);

scenario('what breaks off at the origin breaks off compressed', ON, async ({ origin, edge }) => {
  origin.answers('/a', { ...page(), etag: undefined as never, breaksAfter: 2000 });
  await edge().get('/a', BROWSER).breaksOff();
});

const PACKED = { br: brotliCompressSync, gzip: gzipSync, zstd: zstdCompressSync };

for (const coding of ['br', 'gzip', 'zstd'] as const) {
  scenario(
    `what the origin has in ${coding} is unpacked for who does not take that`,
    ON,
    async ({ origin, edge }) => {
      origin.notes('accept-encoding');
      const packed = PACKED[coding](PAGE);
      const given = { ...answer({ coding, body: packed }) };
      origin.answers('/a', { ...given, fields: { ...given.fields, Vary: 'Accept-Encoding' } });
      const other = coding === 'gzip' ? 'br' : 'gzip';
      for (const _ of ['made', 'stored']) {
        const as = { 'content-encoding': coding, etag: '"1"', vary: 'Accept-Encoding' };
        await edge().get('/a', takes(coding)).sees({ body: packed, headers: as });
        await edge()
          .get('/a')
          .sees({
            body: PAGE,
            headers: { 'content-encoding': undefined, vary: 'Accept-Encoding' },
          });
        expect((await unpacked(edge().get('/a', takes(other)), other)).text).toBe(PAGE);
      }
      await edge()
        .get('/a', { Range: 'bytes=0-9' })
        .sees({ status: 206, body: PAGE.slice(0, 10) });
      origin.saw('GET /a accept-encoding zstd, br, gzip');
    },
  );
}

scenario(
  'the origin is asked for what cannot be unpacked here',
  { site: { compression: { enabled: true }, cache: { maxObjectBytes: 100_000 } } },
  async ({ origin, edge }) => {
    origin.notes('accept-encoding');
    const packed = answer({ coding: 'gzip', body: gzipSync(Buffer.alloc(1_000_000)) });
    const bomb = { ...packed, fields: { ...packed.fields, Vary: 'Accept-Encoding' } };
    origin.answers('/a', bomb);
    await edge().get('/a').breaksOff();
    origin.answers('/a', answer({ body: 'plain' }));
    await edge().get('/a').sees({ body: 'plain' });
    await edge().get('/a', BROWSER).sees({ body: bomb.body });
    origin.saw('GET /a accept-encoding zstd, br, gzip', 'GET /a');
  },
);

scenario('mid-tiers pass on what they have', ON, async ({ origin, edge, midTier }) => {
  origin.answers('/a', page());
  await unpacked(edge().get('/a', BROWSER), 'br');
  await midTier().get('/a', BROWSER).sees({ status: 403 });
  expect(midTier().node.engine.store.volume().objects).toBe(1);
});

scenario(
  'a client that wants nothing transformed is not sent what it cannot read',
  ON,
  async ({ origin, edge }) => {
    const zipped = { ...page('', '"z"'), body: gzipSync(PAGE) };
    const fields = { ...page().fields, 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' };
    origin.answers('/a', { ...zipped, fields }, page());
    await unpacked(edge().get('/a', BROWSER), 'gzip');
    await edge()
      .get('/a', { 'Cache-Control': 'no-transform' })
      .sees({ status: 200, body: PAGE, headers: { 'content-encoding': undefined } });
    origin.saw('GET /a', 'GET /a');
  },
);

scenario(
  'a rule leaves some of a site as it is, and unpacks what its clients cannot read',
  {
    site: {
      compression: { enabled: true },
      rules: [
        { match: { path: '/plain/**' }, compress: false },
        { match: { path: '/plain/but/*' }, compress: true },
      ],
    },
  },
  async ({ origin, edge }) => {
    origin.answers('/plain/a', page());
    origin.answers('/plain/but/a', page());
    const zipped = { ...page('', '"z"'), body: gzipSync(PAGE) };
    const fields = { ...page().fields, 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' };
    origin.answers('/plain/zipped', { ...zipped, fields });
    await edge()
      .get('/plain/a', BROWSER)
      .sees({ body: PAGE, headers: { 'content-encoding': undefined } });
    await unpacked(edge().get('/plain/but/a', BROWSER), 'br');
    await unpacked(edge().get('/plain/zipped', BROWSER), 'gzip');
    await edge()
      .get('/plain/zipped')
      .sees({ body: PAGE, headers: { 'content-encoding': undefined } });
    origin.saw('GET /plain/a', 'GET /plain/but/a', 'GET /plain/zipped');
  },
);
