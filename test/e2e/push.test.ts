import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { curl, RunningUp } from './canopy.ts';

// Pushes over a real network: three edges, two mid-tiers, two threads each, a server of one's own.

const LIMIT_MS = 60_000;
const PAGES = 40;

let root: string;
let server: Server;
let up: RunningUp;
let site: string;
/** Paths that were asked for. */
let seen: string[] = [];
/** Answers to `/slow…` wait here. */
const held: (() => void)[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-push-'));
  server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? '';
    seen.push(path);
    outgoing.setHeader('Cache-Control', 'max-age=600');
    outgoing.setHeader('Vary', 'Accept-Encoding');
    if (path === '/sitemap.xml.gz') outgoing.end(gzipSync(sitemap()));
    else if (path.startsWith('/missing')) outgoing.writeHead(404).end();
    else if (path.startsWith('/slow')) held.push(() => outgoing.end('slow'));
    else outgoing.end(`body of ${path}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const args = ['--workers', '2', '--pull', `http://127.0.0.1:${port}`];
  up = await RunningUp.start(join(root, 'state'), ...args);
  site = up.ready.edges[0]?.url ?? '';
}, LIMIT_MS);

beforeEach(() => {
  seen = [];
});

afterAll(async () => {
  for (const release of held) release();
  await up.end('SIGKILL');
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

const pages = (): string[] => Array.from({ length: PAGES }, (_, i) => `/page/${i}`);

const sitemap = (): string =>
  `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${pages()
    .map((path) => `<url><loc>${site}${path}</loc></url>`)
    .join('')}</urlset>`;

interface Pushed {
  readonly id: string;
  readonly status: string;
  readonly nodes: readonly {
    readonly node: string;
    readonly status: string;
    readonly placed: number;
    readonly fetched: number;
    readonly failed: number;
    readonly bytes: number;
  }[];
}

const pushed = async (...args: string[]): Promise<Pushed & { readonly code: number | null }> => {
  const { code, stdout, stderr } = await up.command('push', ...args, '--json');
  if (stdout === '') throw new Error(stderr);
  return { code, ...(JSON.parse(stdout) as Pushed) };
};

test(
  'a sitemap is pushed to every edge, and the origin sends each page once',
  async () => {
    const push = await pushed('--sitemap', `${site}/sitemap.xml.gz`, '--wait');
    expect(push).toMatchObject({ code: 0, status: 'complete' });
    expect(push.nodes).toHaveLength(3);
    for (const node of push.nodes) {
      expect(node).toMatchObject({ status: 'complete', placed: PAGES, fetched: PAGES, failed: 0 });
    }
    expect(seen.toSorted()).toEqual([...pages(), '/sitemap.xml.gz'].toSorted());
    for (const edge of up.ready.edges) {
      for (const path of ['/page/0', `/page/${PAGES - 1}`]) {
        const encoding = 'Accept-Encoding: gzip, deflate, br, zstd';
        const { body, cacheStatus } = await curl('-H', encoding, edge.url + path);
        expect(body).toBe(`body of ${path}`);
        // Either by the thread where it is, or from it by another.
        expect(cacheStatus).toMatch(/hit|detail=uri-miss/);
      }
    }
    expect(seen).toHaveLength(PAGES + 1);
    const again = await pushed(`${site}/page/0`, '--wait');
    for (const node of again.nodes) expect(node).toMatchObject({ placed: 1, fetched: 0, bytes: 0 });
  },
  LIMIT_MS,
);

test('locations, variants and failures', { timeout: LIMIT_MS }, async () => {
  const list = join(root, 'list');
  await writeFile(list, `# what the match needs\n${site}/a\n\n${site}/missing\n`);
  const push = await pushed(
    '--file',
    list,
    '--locations',
    'rome',
    '--encodings',
    'br,identity',
    '--wait',
  );
  expect(push).toMatchObject({
    code: 2,
    nodes: [{ node: 'edge-rome', status: 'complete', placed: 2, failed: 2 }],
  });
  const { stdout } = await up.command('pushes', 'get', push.id);
  expect(stdout).toMatch(/edge-rome +edge +rome +complete +4\/4 +2 +2 +/);
  expect(stdout).toContain(`edge-rome  status-404  ${site}/missing`);
  const { stdout: all } = await up.command('pushes');
  expect(all).toContain(push.id);
  const { body } = await curl(
    `${up.ready.edges.find(({ name }) => name === 'edge-rome')?.adminUrl}/metrics`,
  );
  expect(body).toMatch(/canopy_push_bytes_total\{tier="edge"\} \d+/);
  expect(body).toMatch(/canopy_push_objects_total\{.*result="failed".*\} 2/);
});

test('a push is cancelled: nothing more is fetched', { timeout: LIMIT_MS }, async () => {
  const urls = Array.from({ length: 30 }, (_, i) => `${site}/slow/${i}`);
  const { id, status } = await pushed(...urls, '--nodes', 'edge-oslo', '--concurrency', '2');
  expect(status).toBe('running');
  await expect.poll(() => held.length).toBe(2);
  const { stdout } = await up.command('pushes', 'cancel', id);
  expect(stdout).toContain(`Push ${id} of 30 URLs is cancelled.`);
  // What comes after it shows that the node has left off.
  const next = await pushed(`${site}/b`, '--nodes', 'edge-oslo');
  for (const release of held) release();
  const { code } = await up.command('pushes', 'get', next.id, '--wait');
  expect(code).toBe(0);
  expect(seen.toSorted()).toEqual(['/b', '/slow/0', '/slow/1']);
  const again = await up.command('pushes', 'cancel', id);
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('(conflict)') });
});

test('what cannot be pushed is refused', async () => {
  const bad = await up.command('push', 'not-a-url');
  expect(bad).toMatchObject({ code: 1, stderr: expect.stringContaining('(invalid-input)') });
  const nothing = await up.command('push');
  expect(nothing).toMatchObject({ code: 1, stderr: expect.stringContaining('--sitemap') });
  const missing = await up.command('push', '--sitemap', `${site}/missing.xml`);
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('answered 404') });
});
