import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';
import { Agent } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CanopyClient } from '#client/client.ts';
import { curl, kill, RunningUp } from './canopy.ts';

// What people have: Chromium with hls.js, a page with the client, and Node, before real edges and a router.

const run = promisify(execFile);
const HLS_JS = fileURLToPath(import.meta.resolve('hls.js/dist/hls.min.js'));
const SECONDS = 60;
const BROWSER_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--no-first-run',
  '--autoplay-policy=no-user-gesture-required',
];

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.m4s': 'video/iso.segment',
  '.mp4': 'video/mp4',
};

let root: string;
let server: Server;
let up: RunningUp;
let router: string;
let browser: Browser;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-steering-'));
  await makeFilm();
  server = createServer((incoming, outgoing) => void serveFile(incoming, outgoing));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const site = join(root, 'site.json');
  await writeFile(site, JSON.stringify({ hosts: ['*'], routing: { steering: { ttlSeconds: 2 } } }));
  const pull = ['--pull', `http://127.0.0.1:${port}`];
  up = await RunningUp.start(join(root, 'state'), '--routers', '1', '--site', site, ...pull);
  router = up.ready.routers[0]?.url ?? '';
  const rules = up.ready.edges.map(({ name, url }) => `MAP ${hostOf(name)} ${new URL(url).host}`);
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [...BROWSER_FLAGS, `--host-resolver-rules=${rules.join(',')}`],
  });
}, 120_000);

afterAll(async () => {
  await browser.close();
  await up.end('SIGINT');
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

/** The publisher's server. */
async function serveFile(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const name = new URL(incoming.url ?? '', 'http://origin.invalid').pathname;
  const file = name === '/hls.js' ? HLS_JS : join(root, name);
  const body = await readFile(file).catch(() => undefined);
  outgoing
    .writeHead(body === undefined ? 404 : 200, {
      'Content-Type': TYPES[extname(name)] ?? 'text/plain',
      'Cache-Control': 'max-age=600',
      'Access-Control-Allow-Origin': '*',
      ...(body !== undefined && { ETag: '"one"', 'Content-Length': body.length }),
    })
    .end(body);
}

async function makeFilm(): Promise<void> {
  const source = ['-f', 'lavfi', '-i', `testsrc=s=160x90:r=10:d=${SECONDS}`];
  const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '10'];
  const hls = ['-f', 'hls', '-hls_time', '1', '-hls_list_size', '0', '-hls_segment_type', 'fmp4'];
  const quiet = ['-loglevel', 'error', '-y'];
  await run('ffmpeg', [...source, ...encode, ...hls, ...quiet, 'media.m3u8'], { cwd: root });
}

/** The playlist and a page that plays it, as a publisher writes them once the routers are known. */
async function publish(): Promise<void> {
  const uri = `${router}/.canopy/steering?site=default`;
  const playlist = [
    '#EXTM3U',
    `#EXT-X-CONTENT-STEERING:SERVER-URI="${uri}",PATHWAY-ID="."`,
    '#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS="avc1.64000b",RESOLUTION=160x90',
    'media.m3u8',
  ];
  await writeFile(join(root, 'film.m3u8'), `${playlist.join('\n')}\n`);
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Film</title>
<link rel="icon" href="data:,"><video muted></video><script src="/hls.js"></script><script>
  const video = document.querySelector('video');
  const hls = new Hls({ maxBufferLength: 3, maxMaxBufferLength: 3, enableWorker: false });
  window.fatal = [];
  hls.on(Hls.Events.ERROR, (_, { fatal, details }) => fatal && window.fatal.push(details));
  hls.loadSource('/film.m3u8');
  hls.attachMedia(video);
  hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
</script></html>`;
  await writeFile(join(root, 'film.html'), page);
}

/** As the zone of `canopy up` has it; in the browser on port 80 too, as behind any load balancer. */
const hostOf = (edge: string): string => `${edge}.default.canopy.test`;

/** Node has no DNS of its own to be told of. */
const lookup: LookupFunction = (_host, _options, found) =>
  found(null, [{ address: '127.0.0.1', family: 4 }]);

async function priority(): Promise<string[]> {
  const answer = await curl(`${router}/.canopy/steering?site=default`);
  return (JSON.parse(answer.body) as { 'PATHWAY-PRIORITY': string[] })['PATHWAY-PRIORITY'];
}

const evaluate = <T>(page: Page, code: string): Promise<T> => page.evaluate<T>(code);

test('a page measures and fetches across origins, and so does Node', async () => {
  await writeFile(
    join(root, 'page.html'),
    `<!doctype html><html lang="en"><title>Page</title><link rel="icon" href="data:,">
<script type="module" src="${router}/.canopy/beacon.js"></script></html>`,
  );
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (said) => said.type() === 'error' && problems.push(said.text()));
  const beacon = page.waitForResponse((response) => response.url() === `${router}/.canopy/beacon`);
  await page.goto(`http://${hostOf('edge-oslo')}/page.html`);
  expect((await beacon).status()).toBe(204);
  const url = `http://${hostOf('edge-oslo')}/media.m3u8`;
  const { measured, text } = await evaluate<{ measured: object[]; text: string }>(
    page,
    `import('${router}/.canopy/client.js').then(async ({ CanopyClient }) => {
      const client = new CanopyClient({ router: '${router}', attemptTimeoutMs: 30000 });
      const measured = await client.measure('${url}');
      const response = await client.fetch('${url}', { race: 2 });
      return { measured, text: await response.text() };
    })`,
  );
  expect(measured.length).toBe(up.ready.edges.length);
  expect(text).toBe(await readFile(join(root, 'media.m3u8'), 'utf8'));
  expect(problems).toEqual([]);
  await page.close();

  const dispatcher = new Agent({ connect: { lookup } });
  const throughAgent = ((input: URL, init: RequestInit) =>
    fetch(input, { ...init, dispatcher } as unknown as RequestInit)) as typeof fetch;
  const client = new CanopyClient({ router, fetch: throughAgent, attemptTimeoutMs: 30_000 });
  for (let i = 0; i < 10; i++) {
    expect((await client.measure(url)).length).toBe(up.ready.edges.length);
  }
  await dispatcher.close();
  const explained = async (): Promise<string> =>
    (await up.command('explain', 'route', '--client', '127.0.0.1', '--site', 'default')).stdout;
  await expect
    .poll(explained, { timeout: 60_000, interval: 500 })
    .toMatch(/edge-\S+ +[\d.]+ ms +latency of 127\.0\.0\.0\/24 \(\d+ measurements\)/);
  await expect
    .poll(async () => (await curl(`${up.ready.routers[0]?.adminUrl}/metrics`)).body)
    .toMatch(/canopy_router_measured_entries(?:\{[^}]*\})? [1-9]/);
});

test('a film goes on from another edge when the one that it comes from dies', async () => {
  await publish();
  const page = await browser.newPage();
  const served: string[] = [];
  const steering: URL[] = [];
  page.on('response', (response) => {
    const url = new URL(response.url());
    if (url.pathname.endsWith('.m4s') && response.ok()) served.push(url.hostname);
    if (url.pathname === '/.canopy/steering') steering.push(url);
  });
  const [first = ''] = await priority();
  const nearest = up.ready.edges.find(({ name }) => name === first);
  // The page itself is of another edge, so that only steering brings the player to the nearest.
  const other = up.ready.edges.find(({ name }) => name !== first);
  await page.goto(`http://${hostOf(other?.name ?? '')}/film.html`);
  await expect.poll(() => served.at(-1)).toBe(hostOf(first));
  await expect
    .poll(() => steering.some(({ search }) => search.includes(`_HLS_pathway=${first}`)))
    .toBe(true);

  kill(nearest, 'SIGKILL');
  const before = served.length;
  const diedAt = await evaluate<number>(page, "document.querySelector('video').currentTime");
  await expect.poll(() => served.slice(before).some((host) => host !== hostOf(first))).toBe(true);
  // More than can have been buffered.
  await expect
    .poll(() => evaluate<number>(page, "document.querySelector('video').currentTime"))
    .toBeGreaterThan(diedAt + 8);
  expect(await evaluate<string[]>(page, 'window.fatal')).toEqual([]);
  await expect.poll(priority).not.toContain(first);
  await page.close();
});
