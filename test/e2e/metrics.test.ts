import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MetricGroup, metricsOf } from '#core/telemetry/metrics.ts';
import { unboundedLabels } from '#test/telemetry/bounded.ts';
import { parseExposition, total } from '#test/telemetry/prometheus.ts';
import { curl, kill, RunningUp } from './canopy.ts';

// What real processes tell of themselves after real traffic.

let root: string;
let up: RunningUp;
let hitBytes = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'canopy-metrics-'));
  up = await RunningUp.start(root, '--edges', '1', '--mid-tiers', '1', '--workers', '2');
});
afterAll(async () => {
  await up.end('SIGKILL');
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

async function scraped(place: { readonly adminUrl: string } | null | undefined) {
  const answer = await curl(`${place?.adminUrl}/metrics`);
  expect(answer.status).toBe(200);
  const families = parseExposition(answer.body, 'prometheus');
  expect(unboundedLabels(families)).toEqual([]);
  return families;
}

/** What it has once the samples of a metric add up to so much. */
async function counted(
  place: { readonly adminUrl: string } | undefined,
  metric: string,
  wanted: number,
  labels: Readonly<Record<string, string>>,
) {
  let families = await scraped(place);
  await expect
    .poll(async () => {
      families = await scraped(place);
      return total(families, metric, labels);
    })
    .toBe(wanted);
  return families;
}

async function health(place: { readonly adminUrl: string } | null | undefined) {
  const { status, body } = await curl(`${place?.adminUrl}/healthz`);
  return { httpStatus: status, ...(JSON.parse(body) as Record<string, unknown>) };
}

test('every process has the metrics of its kind, all of them and no others', async () => {
  const { edges, midTiers, origin, controlPlane } = up.ready;
  const kinds: [{ readonly adminUrl: string } | null | undefined, MetricGroup[]][] = [
    [edges[0], ['process', 'node', 'cache']],
    [midTiers[0], ['process', 'node', 'cache']],
    [origin, ['process', 'node', 'origin']],
    [controlPlane, ['process', 'control-plane']],
  ];
  for (const [place, groups] of kinds) {
    const families = await scraped(place);
    const own = [...families.keys()].filter((name) => name.startsWith('canopy_'));
    expect(own.toSorted()).toEqual(metricsOf(groups).toSorted());
  }
});

test('Prometheus has nothing to say against them', async () => {
  const { edges, midTiers, origin, controlPlane } = up.ready;
  for (const place of [edges[0], midTiers[0], origin, controlPlane]) {
    const { body } = await curl(`${place?.adminUrl}/metrics`);
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' });
    // 3: it can be read, but there is something to say. prom-client has names that promtool dislikes.
    expect([0, 3]).toContain(checked.status);
    const ours = checked.stderr.split('\n').filter((line) => !line.startsWith('nodejs_'));
    expect(ours).toEqual(['']);
  }
});

test('ten requests: nine hits, one fetch, on every tier what follows from it', async () => {
  const { edges, midTiers, origin } = up.ready;
  const url = `${edges[0]?.url}/style.css`;
  const before = { edge: await scraped(edges[0]), origin: await scraped(origin) };
  // One after the other over one connection, and so by one thread.
  expect((await curl(...Array.from({ length: 10 }, () => url))).status).toBe(200);
  const site = { site: 'default', tier: 'edge' };
  // A request is counted when it is over, which its client may know first.
  const edge = await counted(edges[0], 'canopy_requests_total', 10, site);
  expect(total(edge, 'canopy_requests_total', { ...site, cache: 'hit', status: '2xx' })).toBe(9);
  expect(total(edge, 'canopy_requests_total', { ...site, cache: 'miss', status: '2xx' })).toBe(1);
  const sent = (cache: string): number =>
    total(edge, 'canopy_sent_bytes_total', { site: 'default', cache });
  expect(sent('hit')).toBe(9 * sent('miss'));
  hitBytes = sent('hit');
  expect(total(edge, 'canopy_first_byte_seconds_count', { cache: 'hit' })).toBe(9);
  expect(total(edge, 'canopy_decisions_total', { action: 'serve', reason: 'fresh' })).toBe(9);
  const parent = { parent: midTiers[0]?.name ?? '', result: '2xx' };
  expect(total(edge, 'canopy_upstream_requests_total', parent)).toBe(1);
  expect(total(edge, 'canopy_requests_under_way')).toBe(0);
  expect(total(edge, 'canopy_connections_accepted_total')).toBe(
    total(before.edge, 'canopy_connections_accepted_total') + 1,
  );
  expect(total(edge, 'canopy_site_stored_objects', { site: 'default' })).toBeGreaterThan(0);
  for (const store of ['memory', 'disk']) {
    expect(total(edge, 'canopy_store_budget_bytes', { store })).toBe(256 * 1024 ** 2);
  }
  // What is in memory and on disk counts once; it is on disk a moment after it was answered.
  await expect
    .poll(async () => {
      const now = await scraped(edges[0]);
      const onDisk = total(now, 'canopy_store_bytes', { store: 'disk' });
      return onDisk > 0 && onDisk === total(now, 'canopy_site_stored_bytes');
    })
    .toBe(true);

  const inMemory = { site: 'default', store: 'memory' };
  expect(total(edge, 'canopy_site_store_hits_total', inMemory)).toBeGreaterThanOrEqual(9);
  expect(total(edge, 'canopy_site_store_objects', inMemory)).toBeGreaterThan(0);
  expect(total(edge, 'canopy_thread_memory_bytes')).toBeLessThanOrEqual(256 * 1024 ** 2);
  await counted(edges[0], 'canopy_site_store_stored_total', 1, { site: 'default', store: 'disk' });
  const disk = await scraped(edges[0]);
  expect(total(disk, 'canopy_disk_seconds_count', { operation: 'lookup' })).toBeGreaterThan(0);
  expect(total(disk, 'canopy_disk_seconds_count', { operation: 'commit' })).toBeGreaterThan(0);
  expect(total(disk, 'canopy_disk_works')).toBe(1);

  const missed = { site: 'default', cache: 'miss' };
  const midTier = await counted(midTiers[0], 'canopy_requests_total', 1, missed);
  expect(total(midTier, 'canopy_upstream_requests_total', { parent: 'origin' })).toBe(1);
  const after = await scraped(origin);
  const fetched = total(after, 'canopy_origin_requests_total', { status: '2xx' });
  expect(fetched - total(before.origin, 'canopy_origin_requests_total', { status: '2xx' })).toBe(1);
});

test('what is passed on or refused is counted as that', async () => {
  const { edges } = up.ready;
  await curl('-X', 'TRACE', `${edges[0]?.url}/`);
  await curl('-X', 'POST', '--data', 'x', `${edges[0]?.url}/form`);
  const edge = await scraped(edges[0]);
  expect(total(edge, 'canopy_errors_total', { code: 'method-not-allowed' })).toBeGreaterThan(0);
  expect(total(edge, 'canopy_decisions_total', { action: 'pass', reason: 'method' })).toBe(1);
});

test('the control plane counts nodes, events, purges and requests by route', async () => {
  const { edges, controlPlane } = up.ready;
  const before = await scraped(controlPlane);
  await up.command('purge', `${edges[0]?.url}/style.css`, '--wait');
  const families = await scraped(controlPlane);
  expect(total(families, 'canopy_nodes', { state: 'in-service' })).toBe(3);
  expect(total(families, 'canopy_nodes')).toBe(3);
  expect(total(families, 'canopy_journal_streams')).toBe(3);
  expect(total(families, 'canopy_purges_completed_total')).toBe(1);
  expect(total(families, 'canopy_purges_pending')).toBe(0);
  const sequence = total(families, 'canopy_journal_sequence');
  expect(sequence).toBe(total(before, 'canopy_journal_sequence') + 1);
  const purges = { method: 'POST', route: '/v1/purges', status: '2xx' };
  expect(total(families, 'canopy_api_requests_total', purges)).toBe(1);
  const edge = await scraped(edges[0]);
  expect(total(edge, 'canopy_fence_sequence')).toBe(sequence);
  expect(total(edge, 'canopy_journal_lag_events')).toBe(0);
});

test('canopy nodes tells what the heartbeats tell', async () => {
  await expect
    .poll(async () => JSON.parse((await up.command('nodes', '--json')).stdout) as unknown)
    .toContainEqual(
      expect.objectContaining({
        name: 'edge-oslo',
        lastHeartbeat: expect.objectContaining({
          load: expect.objectContaining({ hits: 9, hitBytes, tunnels: 0 }) as unknown,
        }) as unknown,
      }),
    );
});

describe('healthz', () => {
  test('tells that all is well', async () => {
    const { edges, controlPlane } = up.ready;
    expect(await health(edges[0])).toMatchObject({
      httpStatus: 200,
      status: 'ok',
      reasons: [],
      name: 'edge-oslo',
      tier: 'edge',
      lease: { held: true },
    });
    expect(await health(controlPlane)).toMatchObject({ httpStatus: 200, status: 'ok' });
  });

  test('without its control plane a node is degraded, and serves', async () => {
    const { edges, controlPlane } = up.ready;
    kill({ ...controlPlane, name: 'control-plane', location: { name: '' } }, 'SIGKILL');
    await expect
      .poll(() => health(edges[0]))
      .toMatchObject({
        httpStatus: 200,
        status: 'degraded',
        reasons: ['control-plane-lost', 'lease-ended'],
        lease: { held: false, remainingMs: 0 },
      });
    expect(total(await scraped(edges[0]), 'canopy_journal_connected')).toBe(0);
  });
});

test('there is nothing else, and only to read', async () => {
  const url = up.ready.edges[0]?.adminUrl ?? '';
  const other = await curl(`${url}/`);
  expect(other.status).toBe(404);
  expect(JSON.parse(other.body)).toMatchObject({ code: 'not-found' });
  const post = await curl('-X', 'POST', `${url}/metrics`);
  expect(post.status).toBe(405);
  expect(JSON.parse(post.body)).toMatchObject({ code: 'method-not-allowed' });
  expect(post.fields.get('allow')).toBe('GET, HEAD');
  expect((await curl('--head', `${url}/healthz`)).body).toBe('');
});
