import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { curl, LongRunning, RunningUp } from './canopy.ts';

// Releases by the command, while clients ask on: three edges, two mid-tiers, two origins, each a process.

const LIMIT_MS = 120_000;
const ASSETS = 12;

let root: string;
let up: RunningUp;
const agent = new Agent({ connections: 16 });

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-release-'));
  up = await RunningUp.start(join(root, 'state'), '--workers', '2', '--origins', '2');
}, LIMIT_MS);

afterAll(async () => {
  await up.end('SIGKILL');
  await agent.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

/** The files of a release: a page, assets of its own that the page names, and a style of one name for all. */
async function write(number: number): Promise<string> {
  const dir = join(root, `release-${number}`);
  const assets = Array.from({ length: ASSETS }, (_, i) => `/assets/${number}-${i}.js`);
  const files = {
    '/index.html': `release ${number}\n${assets.join('\n')}`,
    '/style.css': `release ${number}`,
    '/constant.txt': 'the same in all',
    ...Object.fromEntries(assets.map((path) => [path, `release ${number}, ${path}`])),
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  return dir;
}

interface Released {
  readonly id: string;
  readonly status: string;
  readonly uploadedContents: number;
  readonly purge: { readonly status: string };
}

async function deploy(dir: string, ...args: string[]): Promise<Released> {
  return json('release', dir, '--site', 'default', '--json', ...args);
}

async function json(...args: string[]): Promise<Released> {
  const { code, stdout, stderr } = await up.command(...args);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Released;
}

async function get(edge: string, path: string): Promise<{ status: number; text: string }> {
  const { statusCode, body } = await request(new URL(path, edge), { dispatcher: agent });
  return { status: statusCode, text: await body.text() };
}

const numberOf = (text: string): number => Number(/^release (\d+)/.exec(text)?.[1]);

/** Clients that each keep to one edge, and look at whatever its pages name. */
class Visitors {
  readonly failures: string[] = [];
  /** The oldest release that requests of now may be answered with. */
  least = 1;
  visits = 0;
  #goesBack = false;
  #stopped = false;

  async visit(edge: string): Promise<void> {
    let seen = 0;
    while (!this.#stopped) {
      for (const path of ['/', '/style.css', '/?query=1']) {
        const least = Math.max(this.least, seen);
        const { status, text } = await get(edge, path);
        const number = numberOf(text);
        // After a rollback what is older is right.
        if (status !== 200 || !(number >= (this.#goesBack ? 1 : least))) {
          this.failures.push(`${edge}${path}: ${status} ${number}, not before ${least}`);
        }
        seen = Math.max(seen, number);
      }
      await this.#look(edge);
      this.visits++;
    }
  }

  goBack(): void {
    this.#goesBack = true;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #look(edge: string): Promise<void> {
    const page = await get(edge, '/index.html');
    const named = page.text.split('\n').slice(1);
    // Elsewhere, too, for the next request may come to another edge.
    const edges = up.ready.edges.map(({ url }) => url);
    const answers = await Promise.all(
      named.map(async (path, i) => ({ path, ...(await get(edges[i % edges.length] ?? '', path)) })),
    );
    for (const { path, status, text } of answers) {
      if (status === 200 && text.endsWith(path)) continue;
      this.failures.push(`${path} of release ${numberOf(page.text)}: ${status}`);
    }
  }
}

test(
  'no page names what is missing, and nothing older is served once a release is complete',
  { timeout: LIMIT_MS },
  async () => {
    const dirs = await Promise.all([1, 2, 3, 4].map(write));
    const [one = '', ...later] = dirs;
    const first = await deploy(one);
    expect(first).toMatchObject({ status: 'current', uploadedContents: ASSETS + 3 });
    const visitors = new Visitors();
    const visits = up.ready.edges.flatMap(({ url }) => [visitors.visit(url), visitors.visit(url)]);
    for (const [i, dir] of later.entries()) {
      // What is the same is not sent again.
      const done = await deploy(dir);
      expect(done).toMatchObject({ status: 'current', purge: { status: 'complete' } });
      expect(done.uploadedContents).toBe(ASSETS + 2);
      visitors.least = i + 2;
      const before = visitors.visits;
      await expect.poll(() => visitors.visits, { timeout: 30_000 }).toBeGreaterThan(before + 3);
    }
    visitors.goBack();
    const back = await json('release', 'rollback', '--site', 'default', '--to', first.id, '--json');
    expect(back).toMatchObject({ id: first.id, status: 'current' });
    const served = await Promise.all(up.ready.edges.map(({ url }) => get(url, '/style.css')));
    expect(served.map(({ text }) => text)).toEqual(served.map(() => 'release 1'));
    visitors.stop();
    await Promise.all(visits);
    expect(visitors.failures).toEqual([]);
    const lines = (await up.command('release', 'list', '--site', 'default')).stdout.split('\n');
    expect(lines[0]).toMatch(/^ID +ORDERED +SWITCHED +STATUS/);
    expect(lines.filter((line) => line.includes(' current '))).toHaveLength(1);
  },
);

test(
  'a command that is killed while it uploads changes nothing, and the next goes on from there',
  { timeout: LIMIT_MS },
  async () => {
    const dir = join(root, 'large');
    await mkdir(dir);
    for (let i = 0; i < 12; i++) {
      await writeFile(join(dir, `${i}.bin`), Buffer.alloc(8_000_000, `large ${i}`));
    }
    await writeFile(join(dir, 'index.html'), 'release 9');
    const edge = up.ready.edges[0]?.url ?? '';
    const before = (await get(edge, '/')).text;
    const usage = async (): Promise<number> => {
      const { url, token } = up.ready.controlPlane;
      const { body } = await curl(
        '-H',
        `Authorization: Bearer ${token}`,
        `${url}/v1/sites/default/usage`,
      );
      return (JSON.parse(body) as { bytes: number }).bytes;
    };
    const stored = await usage();
    const command = new LongRunning(['release', dir, '--site', 'default', '--dir', up.dir]);
    await expect.poll(usage, { timeout: 60_000, interval: 5 }).toBeGreaterThan(stored);
    await command.end('SIGKILL');
    expect((await get(edge, '/')).text).toBe(before);
    expect((await get(edge, '/0.bin')).status).toBe(404);
    const done = await deploy(dir, '--prefetch', '--cache-control', '/*.bin=max-age=60');
    expect(done).toMatchObject({ status: 'current' });
    expect(done.uploadedContents).toBeLessThan(13);
    expect((await get(edge, '/')).text).toBe('release 9');
    // It was there before anybody asked.
    const { fields, cacheStatus } = await curl('-o', '/dev/null', '-D', '-', `${edge}/3.bin`);
    expect(fields.get('cache-control')).toBe('max-age=60');
    expect(cacheStatus).toMatch(/; hit/);
  },
);

test('what cannot be released is said in one line', { timeout: LIMIT_MS }, async () => {
  const site = ['--site', 'default'];
  const empty = join(root, 'empty');
  await mkdir(empty);
  const { code, stderr } = await up.command('release', empty, ...site);
  expect([code, stderr]).toEqual([1, `canopy: There are no files in ${empty} (invalid-input)\n`]);
  const missing = await up.command('release', join(root, 'none'), ...site);
  expect(missing.stderr).toMatch(/^canopy: Cannot read .*none: ENOENT.*\(invalid-input\)\n$/);
  const stale = await up.command('release', await write(1), ...site, '--if-current', 'another');
  expect(stale.stderr).toMatch(
    /^canopy: The release is not what was expected.*\(precondition-failed\)\n$/,
  );
});
