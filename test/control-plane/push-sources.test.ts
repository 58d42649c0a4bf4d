import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { manifestUrls } from '#control-plane/push/manifest-urls.ts';
import { collectUrls } from '#control-plane/push/urls.ts';
import { siteSchema } from '#core/contract/site.ts';
import { SiteDirectory } from '#core/sites.ts';
import { TestControlPlane } from './kit.ts';

const HOST = 'http://one.example';
const sites = ['one', 'two'].map((name) =>
  siteSchema.parse({ name, hosts: [`${name}.example`], origin: { kind: 'push' } }),
);

/** Collects with the documents that there are, in pieces of `size` bytes. */
async function collect(
  order: { urls?: string[]; sitemaps?: string[]; manifests?: string[] },
  documents: Readonly<Record<string, string>> = {},
  size = 7,
) {
  async function* read({ url }: { readonly url: string }): AsyncGenerator<Buffer> {
    const content = Buffer.from(documents[url] ?? '');
    for (let i = 0; i < content.length; i += size) yield content.subarray(i, i + size);
  }
  const all = { urls: [], sitemaps: [], manifests: [], ...order };
  return collectUrls(all, new SiteDirectory(sites), (site) => site === 'one', read);
}

const urlset = (...locs: string[]): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"` +
  ` xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">` +
  locs
    .map(
      (loc) =>
        `<url>\n<loc>\n${loc} </loc><image:image><image:loc>${HOST}/i</image:loc></image:image></url>`,
    )
    .join('') +
  '</urlset>';

describe('URLs', () => {
  test('are pushed once each, as a browser would ask for them', async () => {
    const urls = [`${HOST}/a b`, `${HOST}/é#top`, `${HOST}/a b`, 'HTTPS://ONE.example/x?y'];
    expect(await collect({ urls })).toEqual({
      urls: [`${HOST}/a%20b`, `${HOST}/%C3%A9`, 'https://one.example/x?y'],
      sites: ['one'],
      skipped: 0,
    });
  });

  test('of another site than the token extends to are refused', async () => {
    const refused = collect({ urls: ['http://two.example/'] });
    await expect(refused).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('a sitemap', () => {
  const sitemaps = [`${HOST}/sitemap.xml`];

  test('names its pages; those of other sites are counted only', async () => {
    const document = urlset(
      `${HOST}/a?x=1&amp;y=2`,
      `<![CDATA[${HOST}/b]]>`,
      'http://two.example/c',
      'x',
    );
    const found = { urls: [`${HOST}/a?x=1&y=2`, `${HOST}/b`], sites: ['one'], skipped: 2 };
    for (const size of [1, 7, 100_000]) {
      expect(await collect({ sitemaps }, { [`${HOST}/sitemap.xml`]: document }, size)).toEqual(
        found,
      );
    }
  });

  test('may have a prefix, and be a list', async () => {
    const prefixed = `<s:urlset xmlns:s="x"><s:url><s:loc>${HOST}/a</s:loc></s:url></s:urlset>`;
    const documents = { [`${HOST}/1`]: prefixed, [`${HOST}/2`]: `\uFEFF${HOST}/b\r\n\n${HOST}/c` };
    const { urls } = await collect({ sitemaps: Object.keys(documents) }, documents);
    expect(urls).toEqual([`${HOST}/a`, `${HOST}/b`, `${HOST}/c`]);
  });

  test('may be an index of others, each read once', async () => {
    const index = `<sitemapindex><sitemap><loc>${HOST}/1</loc></sitemap><sitemap><loc>${HOST}/sitemap.xml</loc></sitemap><sitemap><loc>http://other.example/</loc></sitemap></sitemapindex>`;
    const documents = { [`${HOST}/sitemap.xml`]: index, [`${HOST}/1`]: urlset(`${HOST}/a`) };
    expect(await collect({ sitemaps }, documents)).toMatchObject({
      urls: [`${HOST}/a`],
      skipped: 1,
    });
  });

  test.for<[what: string, document: string, code: string]>([
    ['something else', '<urlset><url></urlset>', 'upstream-invalid'],
    ['cut off', urlset(`${HOST}/a`).slice(0, -20), 'upstream-invalid'],
    ['of nothing', urlset(), 'invalid-input'],
    ['of entities', '<!DOCTYPE x [<!ENTITY a "b">]><urlset>&a;</urlset>', 'upstream-invalid'],
    ['of too many', `${HOST}/\n`.repeat(1).concat(manyUrls()), 'content-too-large'],
  ])('%s is refused', async ([, document, code]) => {
    const collected = collect({ sitemaps }, { [`${HOST}/sitemap.xml`]: document }, 65_536);
    await expect(collected).rejects.toMatchObject({ code });
  });
});

function manyUrls(): string {
  return Array.from({ length: 100_001 }, (_, i) => `${HOST}/${i}`).join('\n');
}

const MASTER = `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",URI="audio/en.m3u8"
#EXT-X-SESSION-KEY:METHOD=AES-128,URI="/keys/1"
#EXT-X-STREAM-INF:BANDWIDTH=100,AUDIO="a"
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=200,AUDIO="a"
https://two.example/high.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=10,URI="iframes.m3u8"
`;
const MEDIA = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MAP:URI="init.mp4"
#EXT-X-KEY:METHOD=AES-128,URI="/keys/2"
#EXTINF:4,
#EXT-X-BYTERANGE:100@0
0.ts
#EXTINF:4,
#EXT-X-BYTERANGE:100@100
0.ts
#EXTINF:4,
1.ts?x=1
#EXT-X-ENDLIST
`;
const MPD = `<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S"><Period>
<AdaptationSet mimeType="video/mp4" contentType="video"><SegmentTemplate media="$RepresentationID$/$Number$.m4s" initialization="$RepresentationID$/init.mp4" duration="2"/>
<Representation id="v1" bandwidth="1" width="1" height="1"/><Representation id="v2" bandwidth="2" width="2" height="2"/></AdaptationSet>
<AdaptationSet mimeType="audio/mp4" lang="en"><BaseURL>audio/</BaseURL><SegmentTemplate media="$Number$.m4s" initialization="init.mp4" duration="2"/><Representation id="a" bandwidth="1"/></AdaptationSet>
</Period></MPD>`;

describe('a manifest', () => {
  test('of HLS names playlists, segments, keys and initialisation', () => {
    expect(manifestUrls(MASTER, `${HOST}/film/master.m3u8`)).toEqual({
      objects: [`${HOST}/keys/1`],
      manifests: [
        `${HOST}/film/low.m3u8`,
        'https://two.example/high.m3u8',
        `${HOST}/film/iframes.m3u8`,
        `${HOST}/film/audio/en.m3u8`,
      ],
    });
    expect(manifestUrls(MEDIA, `${HOST}/film/low.m3u8`)).toEqual({
      objects: ['film/init.mp4', 'keys/2', 'film/0.ts', 'film/1.ts?x=1'].map((p) => `${HOST}/${p}`),
      manifests: [],
    });
  });

  test('of DASH names the segments of every representation', () => {
    const { objects } = manifestUrls(MPD, `${HOST}/film/film.mpd`);
    const expected = ['v1', 'v2', 'audio'].flatMap((of) =>
      ['init.mp4', '1.m4s', '2.m4s'].map((name) => `${HOST}/film/${of}/${name}`),
    );
    expect(objects.toSorted()).toEqual(expected.toSorted());
  });

  test('is pushed with all that it names', async () => {
    const manifests = [`${HOST}/master.m3u8`];
    const documents = {
      [`${HOST}/master.m3u8`]: '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n',
      [`${HOST}/low.m3u8`]: MEDIA,
    };
    expect((await collect({ manifests }, documents)).urls).toEqual(
      ['master.m3u8', 'low.m3u8', 'init.mp4', 'keys/2', '0.ts', '1.ts?x=1'].map(
        (name) => `${HOST}/${name}`,
      ),
    );
  });

  test.for<[what: string, document: string, code: string]>([
    ['something else', '<html></html>', 'upstream-invalid'],
    ['DASH of a century in seconds', MPD.replace('PT4S', 'P100Y'), 'upstream-invalid'],
  ])('%s is refused', { timeout: 60_000 }, async ([, document, code]) => {
    const collected = collect({ manifests: [`${HOST}/m`] }, { [`${HOST}/m`]: document }, 65_536);
    await expect(collected).rejects.toMatchObject({ code });
  });
});

test('documents are read as an edge would, in gzip or not, from the site’s own servers', async () => {
  const cp = await TestControlPlane.start();
  const seen: string[] = [];
  const list = gzipSync(`${HOST}/a\n${HOST}/b\n`);
  const server = createServer((incoming, response) => {
    const { 'x-forwarded-proto': scheme, 'x-forwarded-host': host } = incoming.headers;
    seen.push(`${String(scheme)} ${String(host)} ${incoming.url}`);
    if (incoming.url === '/missing') response.writeHead(404).end();
    else if (incoming.url === '/broken') response.end(list.subarray(0, 20));
    else if (incoming.url === '/twice') response.end(gzipSync(list));
    else response.end(list);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const origin = { kind: 'pull', servers: [{ url: `http://127.0.0.1:${port}` }] };
  await cp.call('PUT', '/v1/sites/one', { hosts: ['one.example'], origin });
  await cp.addNode('oslo');
  const push = async (path: string) =>
    (await cp.call('POST', '/v1/pushes', { sitemaps: [`https://one.example${path}`] })).body;
  for (const path of ['/sitemap.xml.gz', '/twice']) {
    expect(await push(path)).toMatchObject({ urls: 2, skipped: 0 });
  }
  expect(await push('/missing')).toMatchObject({ code: 'upstream-invalid' });
  expect(await push('/broken')).toMatchObject({ code: 'upstream-invalid' });
  expect(seen[0]).toBe('https one.example /sitemap.xml.gz');
});
