import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SiteInput } from '#core/contract/site.ts';
import { RunningUp } from './canopy.ts';

// What counts is what a browser makes of it: pages of two origins ask a third, an edge.

const BROWSER_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--no-first-run',
];
const METHODS_SEEN: string[] = [];

let root: string;
let server: Server;
let pages: Server;
let up: RunningUp;
let browser: Browser;

const listen = async (one: Server): Promise<number> => {
  one.listen(0, '127.0.0.1');
  await once(one, 'listening');
  return (one.address() as AddressInfo).port;
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-cors-'));
  server = createServer((incoming, outgoing) => {
    METHODS_SEEN.push(`${incoming.method} ${incoming.url}`);
    outgoing.setHeader('Cache-Control', incoming.method === 'GET' ? 'max-age=600' : 'no-store');
    outgoing.setHeader('X-Total', '7');
    outgoing.end(`hello ${incoming.headers['x-token']?.toString() ?? 'nobody'}`);
  });
  pages = createServer((_, outgoing) => {
    outgoing.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><p>page');
  });
  const port = await listen(server);
  await listen(pages);
  up = await RunningUp.start(join(root, 'state'), '--pull', `http://127.0.0.1:${port}`);
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: BROWSER_FLAGS });
}, 120_000);

afterAll(async () => {
  await browser.close();
  await up.end('SIGINT');
  for (const one of [server, pages]) {
    one.closeAllConnections();
    one.close();
  }
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

const edge = (): string => up.ready.edges[0]?.url ?? '';
const port = (): number => (pages.address() as AddressInfo).port;

async function putRules(rules: SiteInput['rules']): Promise<void> {
  const { url, token } = up.ready.controlPlane;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const { items } = (await (await fetch(`${url}/v1/sites`, { headers })).json()) as {
    items: SiteInput[];
  };
  const [site] = items;
  const body = JSON.stringify({ ...site, rules });
  const answer = await fetch(`${url}/v1/sites/${site?.name}`, { method: 'PUT', headers, body });
  expect(answer.status).toBeLessThan(300);
}

interface Asking {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** What a page of the host gets from the edge: content and a field, or the kind of failure. */
async function asked(host: string, target: string, init: Asking = {}): Promise<string> {
  const page: Page = await browser.newPage();
  try {
    await page.goto(`http://${host}:${port()}/`);
    return await page.evaluate(
      async ([url, options]) => {
        try {
          const answer = await fetch(url, options);
          return `${answer.status} ${await answer.text()} ${answer.headers.get('x-total')}`;
        } catch (error) {
          return String(error);
        }
      },
      [`${edge()}${target}`, init] as const,
    );
  } finally {
    await page.close();
  }
}

const REFUSED = 'TypeError: Failed to fetch';

test('a browser lets pages of the origins that a rule names ask, and no others', async () => {
  // One host under two names is two origins.
  const mine = `http://localhost:${port()}`;
  expect(await asked('localhost', '/a')).toBe(REFUSED);
  await putRules([
    {
      cors: {
        origins: [mine],
        methods: ['GET', 'PUT'],
        headers: ['X-Token'],
        exposedHeaders: ['X-Total'],
      },
    },
    { match: { path: '/secret' }, deny: true },
  ]);
  await expect.poll(() => asked('localhost', '/a')).toBe('200 hello nobody 7');
  expect(await asked('127.0.0.1', '/a')).toBe(REFUSED);
  expect(METHODS_SEEN.filter((seen) => seen === 'GET /a')).toHaveLength(1);

  const put = { method: 'PUT', headers: { 'X-Token': 'me' }, body: 'x' };
  expect(await asked('localhost', '/b', put)).toBe('200 hello me 7');
  expect(await asked('127.0.0.1', '/b', put)).toBe(REFUSED);
  expect(await asked('localhost', '/b', { ...put, headers: { 'X-Other': '1' } })).toBe(REFUSED);
  expect(await asked('localhost', '/b', { method: 'DELETE' })).toBe(REFUSED);
  expect(METHODS_SEEN.filter((seen) => seen.endsWith(' /b'))).toEqual(['PUT /b']);

  // A page may read why it was refused.
  expect(await asked('localhost', '/secret')).toMatch(/^403 .*"code":"denied"/);
}, 60_000);
