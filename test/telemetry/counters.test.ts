import { describe, expect, test } from 'vitest';
import type { Action, Reason } from '#core/cache/policy/decide.ts';
import { type CacheResult, cacheResult } from '#core/telemetry/cache-result.ts';
import type { Outcome } from '#core/telemetry/cache-status.ts';
import { Counters, MAX_SITES } from '#core/telemetry/counters.ts';
import { expose } from '#core/telemetry/exposition.ts';
import { healthOf } from '#core/telemetry/health.ts';
import { METRICS, metricsOf } from '#core/telemetry/metrics.ts';
import { Samples } from '#core/telemetry/samples.ts';
import { UpstreamCounters } from '#core/telemetry/upstream-counters.ts';
import { parseExposition, total } from './prometheus.ts';

const outcome = (action: Action, reason: Reason, how: Partial<Outcome> = {}): Outcome => ({
  action,
  reason,
  ttlSeconds: undefined,
  forwardStatus: undefined,
  collapsed: false,
  stored: false,
  detail: undefined,
  ...how,
});
const HIT = outcome('serve', 'fresh');

describe('where an answer counts as coming from', () => {
  test.each<[Action, Reason, Partial<Outcome>, CacheResult]>([
    ['serve', 'fresh', {}, 'hit'],
    ['serve', 'fresh-lease-ended', {}, 'hit'],
    ['refresh-behind', 'refresh-ahead', {}, 'hit'],
    ['refresh-behind', 'stale-while-revalidate', {}, 'stale'],
    ['serve', 'stale-if-error', {}, 'stale'],
    ['serve', 'max-stale', {}, 'stale'],
    ['revalidate', 'stale', { detail: 'stale-if-error', forwardStatus: 503 }, 'stale'],
    ['revalidate', 'stale', { detail: 'stale-while-slow' }, 'stale'],
    ['revalidate', 'stale', { forwardStatus: 304 }, 'revalidated'],
    ['revalidate', 'stale', { forwardStatus: 304, collapsed: true }, 'collapsed'],
    ['revalidate', 'stale', { forwardStatus: 200, stored: true }, 'miss'],
    ['fill', 'uri-miss', { forwardStatus: 200, stored: true }, 'miss'],
    ['fill', 'uri-miss', { collapsed: true }, 'collapsed'],
    ['fill', 'uri-miss', { detail: 'upstream-unreachable' }, 'miss'],
    ['pass', 'hit-for-miss', { forwardStatus: 200 }, 'pass'],
    ['refuse', 'only-if-cached', { detail: 'only-if-cached' }, 'own'],
  ])('%s %s %o: %s', (action, reason, how, expected) => {
    expect(cacheResult(outcome(action, reason, how))).toBe(expected);
  });
});

const names = metricsOf(['cache']);
const exposed = async (fill: (samples: Samples) => void, accept?: string) => {
  const samples = new Samples();
  fill(samples);
  return expose(names, samples, { tier: 'edge' }, accept);
};
const parsed = async (fill: (samples: Samples) => void) =>
  parseExposition((await exposed(fill)).text, 'prometheus');

describe('what is counted', () => {
  test('is exposed by site, result and status', async () => {
    const counters = new Counters();
    counters.sites.name(['shop']);
    counters.record('shop', HIT, 200, 100, 0.05, 0.05, '1.1');
    counters.record('shop', HIT, 304, 0, 0.05, 0.05, '1.1');
    counters.record('shop', outcome('fill', 'uri-miss'), 200, 100, 700, 700, '1.1');
    const lost = outcome('fill', 'uri-miss', { detail: 'upstream-unreachable' });
    counters.record('shop', lost, 502, 10, 40_000, 40_000, '1.1');
    const refused = outcome('refuse', 'request', { detail: 'unknown-host' });
    counters.record(undefined, refused, 421, 20, 0.1, 0.1, '1.1');
    const families = await parsed((samples) => counters.sample(samples));
    const requests = (labels: Readonly<Record<string, string>>): number =>
      total(families, 'canopy_requests_total', { tier: 'edge', ...labels });
    expect(requests({})).toBe(5);
    expect(requests({ site: 'shop', cache: 'hit', status: '2xx' })).toBe(1);
    expect(requests({ site: 'shop', cache: 'hit', status: '3xx' })).toBe(1);
    expect(requests({ site: 'shop', cache: 'miss', status: '5xx' })).toBe(1);
    expect(requests({ site: '_none', cache: 'own', status: '4xx' })).toBe(1);
    expect(total(families, 'canopy_sent_bytes_total', { site: 'shop', cache: 'miss' })).toBe(110);
    expect(total(families, 'canopy_decisions_total', { reason: 'uri-miss' })).toBe(2);
    expect(total(families, 'canopy_errors_total', { code: 'unknown-host' })).toBe(1);
    expect(total(families, 'canopy_errors_total')).toBe(2);
    const taken = (le: string): number =>
      total(families, 'canopy_first_byte_seconds_bucket', { cache: 'miss', le });
    expect([taken('0.5'), taken('1'), taken('30'), taken('+Inf')]).toEqual([0, 1, 1, 2]);
    expect(total(families, 'canopy_first_byte_seconds_sum', { cache: 'miss' })).toBeCloseTo(40.7);
  });

  test('of more sites and parents than have names of their own, shares one', async () => {
    const counters = new Counters();
    const upstream = new UpstreamCounters();
    const sites = Array.from({ length: MAX_SITES + 5 }, (_, i) => `site-${i}`);
    counters.sites.name(sites);
    upstream.name(Array.from({ length: 500 }, (_, i) => `http://10.0.0.${i}`));
    for (const site of sites) counters.record(site, HIT, 200, 1, 1, 1, '1.1');
    for (let i = 0; i < 500; i++) upstream.tried(`http://10.0.0.${i}`, 200);
    upstream.tried('http://unheard-of', 'timeout');
    const families = await parsed((samples) => {
      counters.sample(samples);
      upstream.sample(samples);
    });
    const rows = families.get('canopy_requests_total')?.samples ?? [];
    expect(rows).toHaveLength(MAX_SITES + 1);
    expect(total(families, 'canopy_requests_total', { site: '_other' })).toBe(5);
    expect(total(families, 'canopy_upstream_requests_total', { parent: '_other' })).toBe(301);
    expect(total(families, 'canopy_upstream_requests_total', { result: 'timeout' })).toBe(1);
    expect(total(families, 'canopy_upstream_requests_total')).toBe(501);
  });

  test('a site keeps its name, and those that come later get what is left', () => {
    const counters = new Counters();
    counters.sites.name(['b']);
    counters.record('b', HIT, 200, 1, 1, 1, '1.1');
    counters.sites.name(['a', 'b']);
    counters.record('b', HIT, 200, 1, 1, 1, '1.1');
    const samples = new Samples();
    counters.sample(samples);
    expect(samples.byMetric.get('canopy_requests_total')).toEqual(new Map([['b\nhit\n2xx', 2]]));
  });

  test('adds up over threads; of one that has died, all but what it held', () => {
    const one = new Samples();
    one.add('canopy_errors_total', 2, 'loop-detected');
    one.add('canopy_store_objects', 7, 'memory');
    const sum = new Samples();
    sum.addAll(one);
    sum.addAll(one.counted());
    expect(sum.byMetric.get('canopy_errors_total')).toEqual(new Map([['loop-detected', 4]]));
    expect(sum.byMetric.get('canopy_store_objects')).toEqual(new Map([['memory', 7]]));
  });
});

const fill = (samples: Samples): void => {
  samples.add('canopy_errors_total', 3, 'not-found');
  samples.add('canopy_upstream_requests_total', 1, 'a "quoted" \\ name', '2xx');
};

describe('the two formats', () => {
  test('Prometheus', async () => {
    const { contentType, text } = await exposed(fill, '*/*');
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = parseExposition(text, 'prometheus');
    expect(total(families, 'canopy_errors_total')).toBe(3);
    const parent = 'a "quoted" \\ name';
    expect(total(families, 'canopy_upstream_requests_total', { parent })).toBe(1);
    for (const name of names) expect(families.get(name)?.type).toBe(METRICS[name].type);
    expect(families.get('process_cpu_seconds_total')?.type).toBe('counter');
  });

  test('OpenMetrics for whoever asks, and Prometheus again for the next', async () => {
    const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
    const { contentType, text } = await exposed(fill, accept);
    expect(contentType).toMatch(/^application\/openmetrics-text; version=1\.0\.0/);
    const families = parseExposition(text, 'openmetrics');
    expect(families.get('canopy_errors')?.type).toBe('counter');
    expect(total(families, 'canopy_errors_total')).toBe(3);
    expect((await exposed(fill)).text).toContain('\ncanopy_errors_total{code="not-found"');
  });
});

test.each([
  [{}, 'ok', true, []],
  [{ 'lease-ended': false }, 'ok', true, []],
  [{ 'lease-ended': true, starting: false }, 'degraded', true, ['lease-ended']],
  [{ 'thread-silent': true }, 'degraded', true, ['thread-silent']],
  [
    { starting: true, 'control-plane-lost': true },
    'degraded',
    false,
    ['starting', 'control-plane-lost'],
  ],
  [{ 'config-refused': true }, 'degraded', true, ['config-refused']],
  [{ stopping: true }, 'degraded', false, ['stopping']],
  [{ draining: true }, 'degraded', false, ['draining']],
  [{ overloaded: true }, 'degraded', true, ['overloaded']],
  [{ 'state-unavailable': true }, 'degraded', false, ['state-unavailable']],
] as const)('health of %o is %s', (findings, status, serves, reasons) => {
  expect(healthOf(findings)).toEqual({ status, serves, reasons });
});
