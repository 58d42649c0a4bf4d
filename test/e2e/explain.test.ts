import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sealExplainToken } from '#core/explain/token.ts';
import { sealKeysOf } from '#core/latency/seal.ts';
import { canopy, curl, RunningUp } from './canopy.ts';

// Real processes of several threads each explain what they do, by the command and in their answers.

let root: string;
let server: Server;
let up: RunningUp;
/** Names of the fields that the origin was sent. */
const sent = new Set<string>();

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-explain-'));
  server = createServer((incoming, outgoing) => {
    for (const name of Object.keys(incoming.headers)) sent.add(name);
    outgoing.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('page');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const shape = ['--edges', '1', '--mid-tiers', '1', '--workers', '2'];
  up = await RunningUp.start(join(root, 'state'), '--pull', `http://127.0.0.1:${port}`, ...shape);
});

afterAll(async () => {
  await up.end('SIGINT');
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

const urlOf = (target: string): string => `${up.ready.edges[0]?.url}${target}`;

/** What the tiers say in the answer, the edge first. */
async function lines(target: string, ...header: readonly string[]): Promise<unknown[]> {
  const { all } = await curl(...header, urlOf(target));
  return all.flatMap(([name, value]) => (name === 'canopy-explained' ? [JSON.parse(value)] : []));
}

test('the command tells of every tier, and what differs from what is stored', async () => {
  await curl(urlOf('/page'));
  const hit = await up.command('explain', urlOf('/page'));
  expect(hit).toMatchObject({ code: 0, stderr: '' });
  expect(hit.stdout).toMatch(/^HIT at \S+: what is stored is fresh for another \d+ s\n/);
  expect(hit.stdout).toMatch(/\nmid-tier \S+: hit \(fresh\)\n/);
  expect(hit.stdout).toMatch(/\norigin http:/);
  const miss = await up.command('explain', urlOf('/page?utm_source=x'), '--json');
  expect(JSON.parse(miss.stdout)).toMatchObject({
    verdict: 'miss',
    headline: expect.stringContaining('one stored key differs only in `utm_source`'),
    tiers: [
      { status: 'explained', explanation: { threads: [{ slot: 0 }, { slot: 1 }] } },
      { status: 'explained', tier: 'mid-tier' },
      { status: 'origin' },
    ],
    hints: [{ setting: 'key.query' }],
  });
  const header = ['-H', 'Cookie: who=secret', '-H', 'Accept-Language: de'];
  const masked = await up.command('explain', urlOf('/page'), ...header, '--method', 'POST');
  expect(masked.stdout).toMatch(/^PASS at \S+: POST is never answered from a cache\n/);
  expect(masked.stdout).not.toContain('secret');
});

test('a mistake is one line', async () => {
  const unknown = await up.command('explain', urlOf('/'), '--node', 'nobody');
  expect(unknown).toMatchObject({ code: 1, stdout: '' });
  expect(unknown.stderr).toBe('canopy: There is no edge "nobody" (not-found)\n');
  const noUrl = await canopy(['explain', 'page']);
  expect(noUrl.stderr).toMatch(/^canopy: .*Expected an http:\/\/ or https:\/\/ URL[^\n]*\n$/);
  const both = await up.command('explain', urlOf('/'), '--node', 'a', '--from', 'oslo');
  expect(both.code).toBe(1);
  // It has options of the same names.
  const route = await up.command('explain', 'route', '--client', '192.0.2.1', '--site', 'default');
  expect(route.stdout).toMatch(/^192\.0\.2\.1 is of /);
});

test('a signed header is answered with what each tier does; a bad one as if it were not there', async () => {
  const signed = await up.command('explain', urlOf('/'), '--sign', '--for', '5m');
  expect(signed.stdout).toMatch(/^Canopy-Explain: \S+\n$/);
  expect(signed.stderr).toMatch(/^Good until \d{4}-/);
  const header = ['-H', signed.stdout.trim()];
  const told = await lines('/new', ...header);
  expect(told).toMatchObject([
    { tier: 'edge', verdict: 'miss', reason: 'uri-miss' },
    { tier: 'mid-tier', verdict: 'miss', reason: 'uri-miss' },
  ]);
  // Whichever thread is asked.
  for (let i = 0; i < 4; i++) {
    expect(await lines('/new', ...header)).toMatchObject([{ verdict: 'hit' }, { verdict: 'hit' }]);
  }
  const [, value = ''] = signed.stdout.trim().split(': ');
  const until = Date.now() + 60_000;
  const foreign = sealExplainToken(sealKeysOf({ tierKey: 'of another network' }), {
    site: 'default',
    until,
  });
  for (const bad of [`${value}A`, value.toUpperCase(), foreign, 'x']) {
    expect(await lines('/new', '-H', `Canopy-Explain: ${bad}`)).toEqual([]);
  }
  const short = await up.command('explain', urlOf('/'), '--sign', '--for', '1s');
  await expect
    .poll(() => lines('/new', '-H', short.stdout.trim()), { timeout: 20_000, interval: 200 })
    .toEqual([]);
  expect([...sent].filter((name) => name.startsWith('canopy-'))).toEqual([]);
});
