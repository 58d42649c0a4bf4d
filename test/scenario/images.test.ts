import sharp, { type Metadata } from 'sharp';
import { expect } from 'vitest';
import type { Seen, Sight } from './kit/client.ts';
import type { ScenarioNode } from './kit/node.ts';
import { scenario } from './kit/scenario.ts';
import { until } from './kit/until.ts';

const ON = { site: { images: { enabled: true } } };

/** A picture of 120 by 80 pixels, of one colour and a little noise. */
const picture = (red = 200, width = 120, height = 80) => {
  const pixels = Buffer.alloc(width * height * 3);
  for (let i = 0; i < pixels.length; i++) pixels[i] = i % 3 === 0 ? red : (i * 7) % 32;
  return sharp(pixels, { raw: { width, height, channels: 3 } });
};
const photo = await picture().jpeg().toBuffer();
const other = await picture(30).jpeg().toBuffer();

const image = (body: Buffer | string, type = 'image/jpeg', etag = '"1"') =>
  ({ cacheControl: 'max-age=60', etag, fields: { 'Content-Type': type }, body }) as const;

const takes = (accept: string) => ({ Accept: accept });
const CHROME = takes('image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8');

async function made(sight: Sight): Promise<Seen & { readonly is: Metadata }> {
  const seen = await sight;
  expect(seen.status).toBe(200);
  return { ...seen, is: await sharp(seen.body, { animated: true }).metadata() };
}

const redOf = async (body: Buffer): Promise<number> => {
  const { channels } = await sharp(body).stats();
  return channels[0]?.mean ?? 0;
};

const tagged = (body: Buffer) => ({
  ...image(body),
  fields: { 'Content-Type': 'image/jpeg', 'Cache-Tag': 'photos' },
});

const large = (red: number) => picture(red, 1500, 1500).jpeg().toBuffer();

/** Resolves when the store has been looked into so often from now on: for a source, and for what was made of it. */
function lookupsBy({ node }: ScenarioNode, more: number): () => Promise<void> {
  const lookups = (): number => node.engine.store.stats()[0]?.lookups ?? 0;
  const before = lookups();
  return () => until(() => lookups() >= before + more);
}

scenario(
  'an image is had in any size of one fetch, each made once',
  ON,
  async ({ origin, edge }) => {
    origin.answers('/a.jpg', image(photo));
    const first = await made(edge().get('/a.jpg?w=60'));
    expect(first.is).toMatchObject({ format: 'jpeg', width: 60, height: 40 });
    expect(first.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': String(first.body.length),
      etag: expect.stringMatching(/^"1-image-[0-9a-f]{8}"$/),
    });
    const again = await made(edge().get('/a.jpg?w=60'));
    expect(again.headers.etag).toBe(first.headers.etag);
    for (const [query, expected] of [
      ['w=30&h=30', { width: 30, height: 30 }],
      ['w=30&h=30&fit=inside', { width: 30, height: 20 }],
      ['h=20&dpr=2', { width: 60, height: 40 }],
      ['w=500', { width: 120, height: 80 }],
      ['format=png', { format: 'png', width: 120 }],
      ['w=60&format=webp&q=20', { format: 'webp', width: 60 }],
      ['format=avif', { format: 'heif', compression: 'av1' }],
    ] as const) {
      const { is } = await made(edge().get(`/a.jpg?${query}`));
      expect(is).toMatchObject(expected);
    }
    await edge()
      .get('/a.jpg')
      .sees({ body: photo, headers: { etag: '"1"', vary: undefined } });
    expect(edge().node.engine.store.volume().objects).toBe(9);
    origin.saw('GET /a.jpg');
  },
);

scenario('the format is the best that the client names', ON, async ({ origin, edge }) => {
  origin.answers('/a.jpg', image(photo));
  for (const [accept, type] of [
    [CHROME, 'image/avif'],
    [takes('image/webp,*/*'), 'image/webp'],
    [takes('image/avif;q=0, image/webp'), 'image/webp'],
    [takes('*/*'), 'image/jpeg'],
    [{}, 'image/jpeg'],
  ] as const) {
    const seen = await made(edge().get('/a.jpg?format=auto', accept));
    expect(seen.headers).toMatchObject({ 'content-type': type, vary: 'Accept' });
  }
  origin.saw('GET /a.jpg');
});

scenario('HEAD, conditions and parts are of what is made', ON, async ({ origin, edge }) => {
  origin.answers('/a.jpg', image(photo));
  origin.answersTo('HEAD /a.jpg', image(photo));
  const path = '/a.jpg?w=60&format=auto';
  const head = await edge().send(path, { method: 'HEAD', headers: CHROME });
  const { headers, body } = await edge().get(path, CHROME);
  const { etag = '', 'content-length': length } = headers;
  expect(head.headers).toMatchObject({ etag, 'content-length': length, vary: 'Accept' });
  await edge()
    .get(path, { ...CHROME, 'If-None-Match': etag })
    .sees({ status: 304, headers: { etag, vary: 'Accept' } });
  await edge()
    .get(path, { ...CHROME, Range: 'bytes=5-9', 'If-Range': etag })
    .sees({ status: 206, body: body.subarray(5, 10) });
  await edge()
    .get('/a.jpg?w=30', { ...CHROME, 'If-None-Match': etag })
    .sees({ status: 200 });
});

scenario(
  'a part of an image that nobody has asked for yet is one of what is made',
  ON,
  async ({ origin, edge }) => {
    origin.answers('/a.jpg', { ...image(photo), ranges: true });
    const part = await edge().get('/a.jpg?w=60', { Range: 'bytes=0-3' });
    expect(part.status).toBe(206);
    const { body } = await edge().get('/a.jpg?w=60');
    expect(part.body).toEqual(body.subarray(0, 4));
    origin.saw('GET /a.jpg');
  },
);

scenario(
  'whatever purges an image takes along what was made of it',
  ON,
  async ({ origin, edge, purge }) => {
    const isNew = async (): Promise<boolean> =>
      (await redOf((await made(edge().get('/a.jpg?w=60'))).body)) < 100;
    for (const what of [
      ['/a.jpg'],
      ['/a.jpg?w=60'],
      ['/a.jpg?preset=never-heard-of'],
      { kind: 'tags', site: 'site', tags: ['photos'] },
      { kind: 'prefixes', site: 'site', prefixes: ['www.example.org/a.jpg'] },
      'everything',
    ] as const) {
      origin.answers('/a.jpg', tagged(photo));
      purge('everything');
      for (const _ of ['made', 'stored']) expect(await isNew()).toBe(false);
      origin.answers('/a.jpg', tagged(other));
      expect(await isNew()).toBe(false);
      purge(what as Parameters<typeof purge>[0]);
      for (const _ of ['made', 'stored']) expect(await isNew()).toBe(true);
    }
  },
);

scenario(
  'what is purged while an image is made of it is not kept',
  ON,
  async ({ origin, edge, purge }) => {
    origin.answers('/a.jpg', image(await large(200)));
    await edge().get('/a.jpg');
    const begun = lookupsBy(edge(), 2);
    const making = made(edge().get('/a.jpg?w=900&format=avif'));
    await begun();
    origin.answers('/a.jpg', image(await large(30)));
    purge({ kind: 'site', site: 'site' });
    await making;
    for (const _ of ['made', 'stored']) {
      const { body } = await made(edge().get('/a.jpg?w=900&format=avif'));
      expect(await redOf(body)).toBeLessThan(100);
    }
  },
);

scenario(
  'what is made lasts as long as its source, and no longer',
  ON,
  async ({ origin, edge, clock }) => {
    origin.answers('/a.jpg', image(photo));
    const first = await made(edge().get('/a.jpg?w=60'));
    clock.advance('61s');
    const held = { edge: 'stale', body: first.body };
    await edge().get('/a.jpg?w=60').sees(held);
    origin.saw('GET /a.jpg', 'GET /a.jpg if-none-match "1"');
    clock.advance('61s');
    origin.answers('/a.jpg', image(other, 'image/jpeg', '"2"'));
    const second = await made(edge().get('/a.jpg?w=60'));
    expect(await redOf(second.body)).toBeLessThan(100);
  },
);

scenario(
  'presets and sizes are what a site has of them',
  {
    site: {
      images: { enabled: true, presets: { thumb: { w: 30, h: 30, format: 'webp' } }, sizes: [60] },
    },
  },
  async ({ origin, edge, changeSite }) => {
    origin.answers('/a.jpg', image(photo));
    const thumb = await made(edge().get('/a.jpg?preset=thumb'));
    expect(thumb.is).toMatchObject({ width: 30, height: 30, format: 'webp' });
    const over = await made(edge().get('/a.jpg?preset=thumb&format=png'));
    expect(over.is).toMatchObject({ width: 30, format: 'png' });
    await edge().get('/a.jpg?w=61').sees({ status: 400 });
    await edge().get('/a.jpg?w=60').sees({ status: 200 });
    changeSite({ images: { enabled: true, presetsOnly: true } });
    await edge().get('/a.jpg?w=60').sees({ status: 400 });
  },
);

scenario('wrong parameters are refused by name', ON, async ({ edge }) => {
  for (const query of [
    'w=0',
    'w=x',
    'w=5000',
    'w=10&w=20',
    'fit=round',
    'format=bmp',
    'q=101',
    'dpr=9',
    'preset=x',
    'w=3000&dpr=2',
    'preset=constructor',
  ]) {
    const { status, body } = await edge().get(`/a.jpg?${query}`);
    expect([query, status, JSON.parse(body.toString())]).toMatchObject([
      query,
      400,
      { code: 'invalid-image-parameters' },
    ]);
  }
});

scenario(
  'parameters are nothing to us on other paths, and the others of an image stay',
  ON,
  async ({ origin, edge }) => {
    origin.answers('/search?q=shoes&w=1', { body: 'found' });
    origin.answers('/a.jpg?v=2', image(photo));
    await edge().get('/search?q=shoes&w=1').sees({ body: 'found' });
    expect((await made(edge().get('/a.jpg?w=60&v=2'))).is).toMatchObject({ width: 60 });
    origin.saw('GET /search?q=shoes&w=1', 'GET /a.jpg?v=2');
  },
);

const SENT_AS_IT_IS: readonly (readonly [string, ReturnType<typeof image>, object?])[] = [
  ['an SVG', image('<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml')],
  [
    'an SVG that is called a PNG',
    image('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 'image/png'),
  ],
  ['what is no image', image('<p>none</p>', 'text/html')],
  ['what is damaged', image(photo.subarray(0, photo.length / 2))],
  ['what has too many pixels', image(photo), { maxSourcePixels: 1000 }],
  ['what has too many bytes', image(photo), { maxSourceBytes: 100 }],
  [
    'what is not to be transformed',
    { ...image(photo), cacheControl: 'max-age=60, no-transform' as never },
  ],
  ['what is not to be stored', { ...image(photo), cacheControl: 'no-store' as never }],
];

for (const [what, sent, settings] of SENT_AS_IT_IS) {
  scenario(
    `${what} is sent as it is`,
    { site: { images: { enabled: true, ...settings } } },
    async ({ origin, edge }) => {
      origin.answers('/a.png', sent);
      for (const _ of ['missed', 'hit']) {
        const body = Buffer.from(sent.body);
        await edge()
          .get('/a.png?w=60')
          .sees({ status: 200, body, headers: { etag: '"1"' } });
      }
    },
  );
}

scenario('moving images keep moving', ON, async ({ origin, edge }) => {
  const frames = await Promise.all(
    [10, 100, 200].map((red) => picture(red, 40, 40).png().toBuffer()),
  );
  const gif = await sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer();
  origin.answers('/a.gif', image(gif, 'image/gif'));
  for (const [query, accept, expected] of [
    ['w=20', {}, { format: 'gif', pages: 3, width: 20 }],
    ['w=20&format=webp', {}, { format: 'webp', pages: 3 }],
    ['w=20&format=auto', CHROME, { format: 'webp', pages: 3 }],
    ['w=20&format=auto', takes('image/avif'), { format: 'gif', pages: 3 }],
  ] as const) {
    const { is } = await made(edge().get(`/a.gif?${query}`, accept));
    expect(is).toMatchObject(expected);
  }
  const still = await made(edge().get('/a.gif?w=20&format=jpeg'));
  expect(still.is).toMatchObject({ format: 'jpeg', width: 20, height: 20 });
});

scenario(
  'images stand upright, and tell nothing of who took them',
  ON,
  async ({ origin, edge }) => {
    const lying = await picture()
      .withMetadata({ orientation: 6, exif: { IFD0: { Copyright: 'somebody' } } })
      .jpeg()
      .toBuffer();
    expect((await sharp(lying).metadata()).exif).toBeDefined();
    origin.answers('/a.jpg', image(lying));
    const { is } = await made(edge().get('/a.jpg?w=40'));
    expect(is).toMatchObject({ width: 40, height: 60 });
    expect([is.exif, is.orientation]).toEqual([undefined, undefined]);
  },
);

scenario('all who ask at once get one image', ON, async ({ origin, edge }) => {
  origin.answers('/a.jpg', image(photo));
  const seen = await Promise.all(Array.from({ length: 20 }, () => made(edge().get('/a.jpg?w=60'))));
  expect(new Set(seen.map(({ headers }) => headers.etag)).size).toBe(1);
  expect(edge().node.engine.store.volume().objects).toBe(2);
  origin.saw('GET /a.jpg');
});

scenario(
  'where too many images are wanted at once, what they are made of is sent, to be kept by nobody',
  ON,
  async ({ origin, edge }) => {
    origin.answers('/a.jpg', image(photo));
    await edge().get('/a.jpg');
    const seen = await Promise.all(
      Array.from({ length: 50 }, (_, i) => edge().get(`/a.jpg?w=${i + 1}`)),
    );
    const refused = seen.filter(({ headers }) => headers['cache-control'] === 'no-store');
    expect(refused.length).toBeGreaterThan(0);
    for (const { body } of refused) expect(body.equals(photo)).toBe(true);
    // Later there is room for them.
    const width = seen.findIndex(({ body }) => body.equals(photo)) + 1;
    expect((await made(edge().get(`/a.jpg?w=${width}`))).is).toMatchObject({ width });
  },
);
