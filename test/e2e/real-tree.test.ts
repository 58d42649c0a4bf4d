import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, type Stats } from 'node:fs';
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { contentType } from 'mime-types';
import { Agent } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunningUp } from './canopy.ts';

// A real site: what four of our dependencies ship (icons, fonts, styles, documentation, sources),
// and one file of 55 MB made here.

const PACKAGES = ['bootstrap-icons', 'fastify', 'undici', 'zod'];
const LARGE_BYTES = 55 * 1024 * 1024;
const CONCURRENCY = 24;

interface Page {
  /** URL path. */
  readonly path: string;
  readonly file: string;
  readonly contentType: string;
}

interface Fetched {
  readonly status: number;
  readonly contentType: string;
  readonly digest: string;
  readonly cacheStatus: string;
}

const agent = new Agent({ connections: CONCURRENCY });
let root: string;
let pages: readonly Page[];
let server: Server;
const asked = new Map<string, number>();

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-tree-'));
  pages = [...(await filesOfPackages()), await makeLargeFile(join(root, 'large.bin'))];
  server = await serve(pages);
});

afterAll(async () => {
  await agent.close();
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

describe('a real directory tree behind an edge', () => {
  let up: RunningUp;
  beforeAll(async () => {
    const { port } = server.address() as AddressInfo;
    up = await RunningUp.start(join(root, 'state'), '--pull', `http://127.0.0.1:${port}`);
  });
  afterAll(() => up.end('SIGINT'));

  test('is the same byte for byte, costs the origin one request a file, and is all hits then', async () => {
    expect(pages.length).toBeGreaterThan(3000);
    const [oslo, rome] = up.ready.edges;
    const expected = new Map(
      await forEach(pages, async (page) => [page.path, await digestOf(page.file)] as const),
    );
    const pass = async (edge: string | undefined): Promise<ReadonlyMap<string, Fetched>> =>
      new Map(
        await forEach(pages, async ({ path }) => [path, await get(`${edge}${path}`)] as const),
      );

    const first = await pass(oslo?.url);
    const second = await pass(oslo?.url);
    const elsewhere = await pass(rome?.url);

    const wrong = pages.filter(({ path, contentType: type }) =>
      [first, second, elsewhere].some((fetched) => {
        const got = fetched.get(path);
        return got?.status !== 200 || got.contentType !== type || got.digest !== expected.get(path);
      }),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
    const misses = [...second].filter(
      ([, { cacheStatus }]) => !cacheStatus.startsWith('edge-oslo; hit'),
    );
    expect(misses).toEqual([]);
    expect([...asked].filter(([, count]) => count !== 1)).toEqual([]);
    expect(asked.size).toBe(pages.length);
  }, 120_000);
});

async function filesOfPackages(): Promise<Page[]> {
  const modules = fileURLToPath(new URL('../../node_modules/', import.meta.url));
  const listings = await Promise.all(
    PACKAGES.map((name) => readdir(join(modules, name), { recursive: true, withFileTypes: true })),
  );
  return listings
    .flat()
    .filter((entry) => entry.isFile())
    .map((entry) => pageOf(join(entry.parentPath, entry.name), modules));
}

const pageOf = (file: string, base: string): Page => ({
  path: `/${relative(base, file).split('/').map(encodeURIComponent).join('/')}`,
  file,
  contentType: contentType(file.split('/').at(-1) ?? '') || 'application/octet-stream',
});

async function makeLargeFile(file: string): Promise<Page> {
  const block = Buffer.from(Array.from({ length: 65_521 }, (_, i) => (i * i) % 256));
  const handle = await open(file, 'w');
  for (let written = 0; written < LARGE_BYTES; written += block.length) await handle.write(block);
  await handle.close();
  return pageOf(file, root);
}

/** The customer's own web server. */
async function serve(served: readonly Page[]): Promise<Server> {
  const byPath = new Map(served.map((page) => [page.path, page]));
  const started = createServer((incoming, outgoing) => {
    const path = incoming.url ?? '';
    const page = byPath.get(path);
    // `up` itself makes sure with a HEAD that we are there.
    if (incoming.method === 'GET') asked.set(path, (asked.get(path) ?? 0) + 1);
    if (page === undefined) {
      outgoing.writeHead(404).end();
      return;
    }
    stat(page.file)
      .then((stats) => {
        outgoing.writeHead(200, fieldsOf(page, stats));
        return pipeline(createReadStream(page.file), outgoing);
      })
      .catch(() => outgoing.destroy());
  });
  started.listen(0, '127.0.0.1');
  await once(started, 'listening');
  return started;
}

const fieldsOf = (page: Page, { size, mtimeMs }: Stats): Record<string, string | number> => ({
  'Content-Type': page.contentType,
  'Content-Length': size,
  'Cache-Control': 'max-age=3600',
  ETag: `"${size.toString(36)}-${Math.floor(mtimeMs).toString(36)}"`,
});

async function get(url: string): Promise<Fetched> {
  const { origin, pathname } = new URL(url);
  const { statusCode, headers, body } = await agent.request({
    origin,
    path: pathname,
    method: 'GET',
  });
  return {
    status: statusCode,
    contentType: String(headers['content-type']),
    cacheStatus: String(headers['cache-status']),
    digest: await digest(body),
  };
}

const digestOf = (file: string): Promise<string> => digest(createReadStream(file));

async function digest(content: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('base64');
}

/** `map` with so many under way at a time. */
async function forEach<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) results.push(await work(item));
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return results;
}
