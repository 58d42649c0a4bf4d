import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { curl, RunningUp } from './canopy.ts';

// What people have: curl, and a browser that shows AVIF and WebP, at an edge of real processes.

const TEXT = 'A line that comes again and again.\n'.repeat(2000);
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Photos</title>
<link rel="icon" href="data:,"><p>${'text '.repeat(500)}</p>
<img id="auto" src="/photo.jpg?w=60&format=auto"><img id="webp" src="/photo.jpg?preset=thumb">`;

let root: string;
let server: Server;
let up: RunningUp;
let browser: Browser;
let edge: string;
let asked: string[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-shaping-'));
  const photo = await sharp({
    create: { width: 300, height: 200, channels: 3, background: '#a05020' },
  })
    .jpeg()
    .toBuffer();
  const contents = new Map<string, readonly [string, string | Buffer]>([
    ['/', ['text/html', PAGE]],
    ['/a.txt', ['text/plain', TEXT]],
    ['/photo.jpg', ['image/jpeg', photo]],
  ]);
  asked = [];
  server = createServer((incoming, outgoing) => {
    asked.push(incoming.url ?? '');
    const [type, body] = contents.get(incoming.url ?? '') ?? ['text/plain', ''];
    const fields = { 'Content-Type': type, 'Cache-Control': 'max-age=600', ETag: '"1"' };
    outgoing.writeHead(body === '' ? 404 : 200, fields).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const site = join(root, 'site.json');
  const images = { enabled: true, presets: { thumb: { w: 30, h: 30, format: 'webp' } } };
  await writeFile(site, JSON.stringify({ compression: { enabled: true }, images }));
  const pull = ['--pull', `http://127.0.0.1:${port}`, '--site', site];
  up = await RunningUp.start(join(root, 'state'), ...pull);
  edge = up.ready.edges[0]?.url ?? '';
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
  });
}, 120_000);

afterAll(async () => {
  await browser.close();
  await up.end('SIGINT');
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

test('curl unpacks what it asked for, whatever it asked for', async () => {
  for (const codings of ['br', 'zstd', 'gzip', 'br, zstd, gzip', 'identity']) {
    // Missed, compressed for the store, and from the store.
    for (let times = 0; times < 3; times++) {
      const seen = await curl('--compressed', '-H', `Accept-Encoding: ${codings}`, `${edge}/a.txt`);
      expect(seen.body).toBe(TEXT);
      expect(seen.fields.get('vary')).toBe('Accept-Encoding');
      const coding = seen.fields.get('content-encoding') ?? 'identity';
      expect(codings.startsWith(coding)).toBe(true);
    }
  }
  expect(asked.filter((path) => path === '/a.txt')).toHaveLength(1);
});

test('a browser shows the page and its images, in the formats that it takes', async () => {
  const page = await browser.newPage();
  const got = new Map<string, Record<string, string>>();
  page.on('response', (response) => got.set(new URL(response.url()).search, response.headers()));
  await page.goto(edge);
  const shown = (id: string): Promise<unknown> =>
    page.evaluate(`[document.all.${id}.naturalWidth, document.all.${id}.naturalHeight]`);
  await page.waitForLoadState('load');
  expect([await shown('auto'), await shown('webp')]).toEqual([
    [60, 40],
    [30, 30],
  ]);
  expect(got.get('')).toMatchObject({ 'content-encoding': 'br' });
  expect(got.get('?w=60&format=auto')).toMatchObject({
    'content-type': 'image/avif',
    vary: 'Accept',
  });
  expect(got.get('?preset=thumb')).toMatchObject({ 'content-type': 'image/webp' });
  expect(asked.filter((path) => path.startsWith('/photo.jpg'))).toEqual(['/photo.jpg']);
});

test('what is put anew at the own origin is compressed and made anew', async () => {
  const site = join(root, 'push.json');
  await writeFile(
    site,
    JSON.stringify({ compression: { enabled: true }, images: { enabled: true } }),
  );
  const own = await RunningUp.start(join(root, 'push'), '--edges', '1', '--site', site);
  try {
    const url = own.ready.edges[0]?.url ?? '';
    for (const [version, background] of ['#ff0000', '#0000ff'].entries()) {
      const create = { width: 90, height: 60, channels: 3 as const, background };
      const photo = join(root, 'photo.png');
      await sharp({ create }).png().toFile(photo);
      const text = join(root, 'text.txt');
      await writeFile(text, `${version} `.repeat(2000));
      await own.command('put', photo, `${url}/photo.png`);
      await own.command('put', text, `${url}/text.txt`);
      for (let times = 0; times < 3; times++) {
        const got = await fetch(`${url}/photo.png?w=30&format=webp&v=${times}`);
        const { channels } = await sharp(Buffer.from(await got.arrayBuffer())).stats();
        expect(got.headers.get('content-type')).toBe('image/webp');
        expect((channels[0]?.mean ?? 0) > 128).toBe(version === 0);
        const read = await fetch(`${url}/text.txt`, { headers: { 'accept-encoding': 'br' } });
        expect(read.headers.get('content-encoding')).toBe('br');
        expect(await read.text()).toBe(`${version} `.repeat(2000));
      }
    }
  } finally {
    await own.end('SIGINT');
  }
}, 60_000);
