import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { router, serve } from './kit.ts';

// The client as a router serves it, in Chromium, on a page of another origin than router and edges.

const BODY = Buffer.from(Array.from({ length: 2_000_000 }, (_, i) => i % 251));
const SUM = BODY.reduce((sum, byte) => (sum * 31 + byte) % 1_000_003, 0);

let browser: Browser;
beforeAll(async () => {
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run'];
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
});
afterAll(() => browser.close());

/** What a site says whose pages may fetch it from elsewhere. */
const FIELDS = {
  ETag: '"one"',
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'ETag, Content-Range',
};

/** Sends what is asked for, and cuts the connection after so many bytes of it. */
const sends =
  (most: number, asked: string[]) => (incoming: IncomingMessage, out: ServerResponse) => {
    const [range, first = '0'] = /^bytes=(\d+)-$/.exec(incoming.headers.range ?? '') ?? [];
    asked.push(`${incoming.method} ${range === undefined ? 'all' : 'the rest'}`);
    const rest = BODY.subarray(Number(first));
    const contentRange = `bytes ${first}-${BODY.length - 1}/${BODY.length}`;
    const part = range === undefined ? {} : { 'Content-Range': contentRange };
    const status = range === undefined ? 200 : 206;
    out.writeHead(status, { ...FIELDS, ...part, 'Content-Length': rest.length });
    if (rest.length <= most) out.end(rest);
    else out.write(rest.subarray(0, most), () => out.destroy());
  };

test('a page fails over, and goes on with a body that broke off, without asking for leave', async () => {
  const asked: string[][] = [[], [], []];
  const { url: gone, server } = await serve(() => undefined);
  server.close();
  const breaking = await serve(sends(500_000, asked[1] ?? []));
  const well = await serve(sends(Infinity, asked[2] ?? []));
  const at = await router([gone, breaking.url, well.url]);
  const { url: home } = await serve((_, out) => {
    out.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>Page</title>');
  });
  const page = await browser.newPage();
  await page.goto(home);
  const seen = await page.evaluate<{ status: number; length: number; sum: number }>(`
    import('${at}/.canopy/client.js').then(async ({ CanopyClient }) => {
      const client = new CanopyClient({ router: '${at}', attemptTimeoutMs: 30000 });
      const response = await client.fetch('http://film.test/film.mp4');
      const bytes = new Uint8Array(await response.arrayBuffer());
      const sum = bytes.reduce((sum, byte) => (sum * 31 + byte) % 1_000_003, 0);
      return { status: response.status, length: bytes.length, sum };
    })`);
  expect(seen).toEqual({ status: 200, length: BODY.length, sum: SUM });
  // No OPTIONS among them: a preflight would cost a round trip.
  expect(asked).toEqual([[], ['GET all'], ['GET the rest']]);
  await page.close();
});
