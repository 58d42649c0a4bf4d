import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, truncate } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunningUp } from './canopy.ts';

// What people have: Chromium with a video player, and curl, through an edge and a mid-tier, in front
// of a server that knows neither ranges nor validation.

const run = promisify(execFile);

/** Solid colours of 20 seconds each, so that a frame tells its time. */
const COLOURS = ['red', 'lime', 'blue', 'white'];
const SECONDS_EACH = 20;
const BROWSER_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

let root: string;
let film: string;
let server: Server;
let up: RunningUp;
let browser: Browser;

const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Film</title>
<link rel="icon" href="data:,"><video id="film" src="/film.webm" muted preload="auto"></video></html>`;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-browser-'));
  film = join(root, 'film.webm');
  await makeFilm(film);
  const bytes = await readFile(film);
  server = createServer((incoming, outgoing) => {
    outgoing.setHeader('Cache-Control', 'max-age=600');
    if (incoming.url === '/film.webm') {
      outgoing.setHeader('Content-Length', bytes.length);
      outgoing.writeHead(200, { 'Content-Type': 'video/webm', ETag: '"film"' }).end(bytes);
    } else outgoing.writeHead(200, { 'Content-Type': 'text/html' }).end(PAGE);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  up = await RunningUp.start(join(root, 'state'), '--pull', `http://127.0.0.1:${port}`);
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: BROWSER_FLAGS });
}, 120_000);

afterAll(async () => {
  await browser.close();
  await up.end('SIGINT');
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

/** Noise keeps the encoder from making it too small to need seeking. */
async function makeFilm(file: string): Promise<void> {
  const inputs = COLOURS.flatMap((colour) => {
    const source = `color=${colour}:s=320x180:r=10:d=${SECONDS_EACH},noise=alls=25:allf=t`;
    return ['-f', 'lavfi', '-i', source];
  });
  const concat = `concat=n=${COLOURS.length}:v=1`;
  const encode = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '1500k'];
  const options = ['-g', '20', '-loglevel', 'error', '-y'];
  await run('ffmpeg', [...inputs, '-filter_complex', concat, ...encode, ...options, file]);
}

const edge = (index: number): string => up.ready.edges[index]?.url ?? '';

describe('through an edge', () => {
  test('a video player in a browser seeks to where it is told', async () => {
    const page = await browser.newPage();
    const problems: string[] = [];
    const statuses = new Set<number>();
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('response', (response) => {
      if (response.url().endsWith('/film.webm')) statuses.add(response.status());
    });
    await page.goto(`${edge(0)}/`);
    await page.waitForFunction("document.querySelector('video')?.readyState === 4");
    for (const index of [3, 0, 2, 1]) {
      expect(await colourAt(page, (index + 0.5) * SECONDS_EACH)).toBe(COLOURS[index]);
    }
    expect(problems).toEqual([]);
    expect([...statuses]).toContain(206);
    await page.close();
  }, 60_000);

  test('curl gets the part that it asks for', async () => {
    const bytes = await readFile(film);
    const part = join(root, 'part');
    for (const [range, expected] of [
      ['1000-1999', bytes.subarray(1000, 2000)],
      ['2000000-', bytes.subarray(2_000_000)],
      ['-500', bytes.subarray(-500)],
    ] as const) {
      await run('curl', ['-sSf', '-r', range, '-o', part, `${edge(1)}/film.webm`]);
      expect((await readFile(part)).equals(expected)).toBe(true);
    }
  });

  test('curl resumes a download where it broke off', async () => {
    const file = join(root, 'download');
    await run('curl', ['-sSf', '-o', file, `${edge(2)}/film.webm`]);
    const { size } = await stat(file);
    await truncate(file, Math.floor(size / 3));
    await run('curl', ['-sSf', '-C', '-', '-o', file, `${edge(2)}/film.webm`]);
    expect((await readFile(file)).equals(await readFile(film))).toBe(true);
  });
});

/** Seeks, and names the colour of the frame that is shown. */
async function colourAt(page: Page, seconds: number): Promise<string | undefined> {
  const pixel = await page.evaluate<number[]>(`(async () => {
    const video = document.querySelector('video');
    const context = document.createElement('canvas').getContext('2d');
    const seeked = new Promise((resolve) => video.addEventListener('seeked', resolve));
    video.currentTime = ${seconds};
    await seeked;
    context.drawImage(video, 0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  })()`);
  const lit = pixel.slice(0, 3).map((channel) => (channel > 128 ? 1 : 0));
  return { '100': 'red', '010': 'lime', '001': 'blue', '111': 'white' }[lit.join('')];
}
