import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { type Metric, METRICS } from '#core/telemetry/metrics.ts';
import { asQueried, dashboard, panels, queries } from './dashboard.ts';

// The files for Prometheus and Grafana, as Prometheus' own tool reads them.

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));
const ALERTS = join(DEPLOY, 'prometheus/alerts.yml');

function promtool(...args: readonly string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

/** Writes a file for promtool, JSON being YAML; it goes when the test ends. */
function scratch(content: unknown): string {
  const dir = mkdtempSync(join(tmpdir(), 'canopy-monitoring-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'file.yml');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

const groups = (parse(readFileSync(ALERTS, 'utf8')) as { groups: { rules: Alert[] }[] }).groups;
const alerts = groups.flatMap(({ rules }) => rules);

/** Labels that Prometheus and `expose` put on every line. */
const ON_ALL = ['job', 'instance', 'tier'];

/** What an expression asks for that no process tells. */
function unknownIn(expr: string): readonly string[] {
  return [...expr.matchAll(/\b(canopy_\w+)(?:\{([^}]*)\})?/g)].flatMap(([, name = '', within]) => {
    const base = name.replace(/_(?:bucket|sum|count)$/, '');
    const isPart = base !== name;
    const metric = (METRICS as Readonly<Record<string, Metric>>)[base];
    if (metric === undefined || isPart !== (metric.type === 'histogram')) return [name];
    const known = [...metric.labels, ...ON_ALL, 'le'] as readonly string[];
    const asked = [...(within ?? '').matchAll(/(\w+)\s*[=!]~?=?/g)].map(([, label = '']) => label);
    return asked.filter((label) => !known.includes(label)).map((label) => `${name}: ${label}`);
  });
}

test('what no process tells is found', () => {
  expect(unknownIn('rate(canopy_requests_total{site=~"a",cache!="hit"}[5m])')).toEqual([]);
  expect(unknownIn('canopy_request_seconds_bucket{cache="hit",le="1"}')).toEqual([]);
  expect(unknownIn('canopy_requets_total')).toEqual(['canopy_requets_total']);
  expect(unknownIn('canopy_request_seconds')).toEqual(['canopy_request_seconds']);
  expect(unknownIn('canopy_fills_count')).toEqual(['canopy_fills_count']);
  expect(unknownIn('canopy_fills{site="a"}')).toEqual(['canopy_fills: site']);
});

test('Prometheus takes the example of its configuration, with the alerts', () => {
  const { status, said } = promtool('check', 'config', join(DEPLOY, 'prometheus/prometheus.yml'));
  expect(said).toContain(`${alerts.length} rules found`);
  expect(status).toBe(0);
});

describe('the dashboard', () => {
  test('asks only for what processes tell, in what Prometheus can read', () => {
    expect(queries.length).toBeGreaterThanOrEqual(panels.length);
    expect(queries.filter(({ expr }) => unknownIn(expr).length > 0)).toEqual([]);
    const rules = queries.map(({ expr }, i) => ({ record: `query:${i}`, expr: asQueried(expr) }));
    const file = scratch({ groups: [{ name: 'dashboard', rules }] });
    const { status, said } = promtool('check', 'rules', file);
    expect(said).toContain(`${queries.length} rules found`);
    expect(status).toBe(0);
  });

  test('declares each variable that it uses', () => {
    const used = new Set(
      [...JSON.stringify(panels).matchAll(/\$\{?([a-z]+)\}?/g)].map(([, name = '']) => name),
    );
    const declared = dashboard.templating.list.map(({ name }) => name);
    expect([...used].toSorted()).toEqual(declared.toSorted());
    const asked = dashboard.templating.list.flatMap(({ definition }) => definition ?? []);
    expect(asked).toHaveLength(3);
    const selectors = asked.map((text) =>
      text.replace(/^label_values\((\w+), (\w+)\)$/, '$1{$2=""}'),
    );
    expect(selectors.flatMap(unknownIn)).toEqual([]);
  });

  test('has panels beside each other, each once', () => {
    const fields = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => ({ x: x + (i % w), y: y + Math.floor(i / w) })),
    );
    expect(fields.filter(({ x }) => x >= 24)).toEqual([]);
    expect(new Set(fields.map(({ x, y }) => `${x},${y}`)).size).toBe(fields.length);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });
});

/** By series what it is each minute, in promtool's notation; a day and two hours at most. */
type Series = Readonly<Record<string, string>>;

const rate = (perMinute: number): string => `0+${perMinute}x1600`;
const always = (value: number): string => `${value}x1600`;

/** For each alert what sets it off, and what is near that and does not. */
const CASES: Readonly<Record<string, { readonly fires: Series; readonly silent: Series }>> = {
  CanopyProcessDown: {
    fires: { 'up{job="canopy",instance="a"}': always(0) },
    silent: { 'up{job="canopy",instance="a"}': always(1), 'up{job="other"}': always(0) },
  },
  CanopyJournalLost: {
    fires: { 'canopy_journal_connected{instance="a"}': always(0) },
    silent: { 'canopy_journal_connected{instance="a"}': always(1) },
  },
  CanopyLeaseEnded: {
    fires: {
      'canopy_nodes{instance="a",state="lease-ended"}': always(1),
      'canopy_nodes{instance="b",state="lease-ended"}': always(1),
    },
    silent: {
      'canopy_nodes{state="lease-ended"}': always(0),
      'canopy_nodes{state="unseen"}': always(1),
    },
  },
  CanopyNodeLags: {
    fires: { 'canopy_node_journal_lag_events{node="a"}': always(3) },
    silent: { 'canopy_node_journal_lag_events{node="a"}': '0 1 3 0x2000' },
  },
  CanopyPurgesPending: {
    fires: { canopy_purges_pending: always(1) },
    silent: { canopy_purges_pending: always(0) },
  },
  CanopyCertificateExpires: {
    fires: { 'canopy_certificate_remaining_seconds{certificate="a"}': always(6 * 86_400) },
    silent: { 'canopy_certificate_remaining_seconds{certificate="a"}': always(8 * 86_400) },
  },
  CanopyCertificateOrderFails: {
    fires: { 'canopy_certificate_order_failures{certificate="a"}': always(3) },
    silent: { 'canopy_certificate_order_failures{certificate="a"}': always(2) },
  },
  CanopySecretsGuessed: {
    fires: { 'canopy_api_unknown_secrets_total{instance="a"}': rate(90) },
    silent: { 'canopy_api_unknown_secrets_total{instance="a"}': rate(30) },
  },
  CanopyErrors: {
    fires: {
      'canopy_requests_total{tier="edge",site="a",status="5xx"}': rate(3),
      'canopy_requests_total{tier="edge",site="a",status="2xx"}': rate(97),
    },
    silent: {
      'canopy_requests_total{tier="edge",site="a",status="5xx"}': rate(1),
      'canopy_requests_total{tier="edge",site="a",status="2xx"}': rate(99),
      'canopy_requests_total{tier="mid-tier",site="a",status="5xx"}': rate(99),
    },
  },
  CanopyHitRatioFell: {
    fires: {
      // Nine of ten until an hour ago, then none.
      'canopy_requests_total{tier="edge",site="a",cache="hit"}': '0+900x1500 1350000x100',
      'canopy_requests_total{tier="edge",site="a",cache="miss"}': '0+100x1500 150900+900x99',
    },
    silent: {
      'canopy_requests_total{tier="edge",site="a",cache="hit"}': rate(900),
      'canopy_requests_total{tier="edge",site="a",cache="miss"}': rate(100),
    },
  },
  CanopyHitsSlow: {
    fires: hits(0),
    silent: hits(1000),
  },
  CanopyParentFails: {
    fires: {
      'canopy_upstream_requests_total{parent="a",result="timeout"}': rate(20),
      'canopy_upstream_requests_total{parent="a",result="2xx"}': rate(80),
    },
    silent: {
      'canopy_upstream_requests_total{parent="a",result="5xx"}': rate(5),
      'canopy_upstream_requests_total{parent="a",result="outpaced"}': rate(80),
      'canopy_upstream_requests_total{parent="a",result="2xx"}': rate(95),
    },
  },
  CanopyWaitersRefused: {
    fires: { 'canopy_waiters_refused_total{instance="a"}': rate(1) },
    silent: { 'canopy_waiters_refused_total{instance="a"}': always(9) },
  },
  CanopyDiskFails: {
    fires: { 'canopy_disk_works{instance="a"}': always(0) },
    silent: { 'canopy_disk_works{instance="a"}': always(1) },
  },
  CanopyThreadBusy: {
    fires: { 'canopy_thread_loop_active_seconds_total{thread="0"}': rate(57) },
    silent: { 'canopy_thread_loop_active_seconds_total{thread="0"}': rate(48) },
  },
  CanopyThreadsFail: {
    fires: { 'canopy_dns_threads_failed_total{instance="a"}': rate(1) },
    silent: { 'canopy_threads_failed_total{instance="a"}': always(2) },
  },
  CanopyAccessLogLoses: {
    fires: { 'canopy_access_log_dropped_total{why="busy"}': rate(1) },
    silent: { 'canopy_access_log_dropped_total{why="busy"}': always(1) },
  },
  CanopyOriginDamaged: {
    fires: { 'canopy_origin_damaged{instance="a"}': always(1) },
    silent: { 'canopy_origin_damaged{instance="a"}': always(0) },
  },
  CanopyNoEdgeWell: {
    // A router tells of no condition that no edge has.
    fires: {
      'canopy_build_info{instance="a",tier="router"}': always(1),
      'canopy_router_edges{instance="a",condition="down"}': always(2),
    },
    silent: {
      'canopy_build_info{instance="a",tier="router"}': always(1),
      'canopy_build_info{instance="b",tier="edge"}': always(1),
      'canopy_router_edges{instance="a",condition="well"}': always(1),
      'canopy_router_edges{instance="a",condition="down"}': always(2),
    },
  },
  CanopyRouterUninformed: {
    fires: { 'canopy_router_standings_age_seconds{instance="a"}': always(90) },
    silent: { 'canopy_router_standings_age_seconds{instance="a"}': always(30) },
  },
};

/** A thousand hits a minute, so many of them within 50 ms, the others within a second. */
function hits(fast: number): Series {
  const labels = 'tier="edge",cache="hit",instance="a"';
  return {
    [`canopy_first_byte_seconds_bucket{${labels},le="0.05"}`]: rate(fast),
    [`canopy_first_byte_seconds_bucket{${labels},le="1"}`]: rate(1000),
    [`canopy_first_byte_seconds_bucket{${labels},le="+Inf"}`]: rate(1000),
    [`canopy_first_byte_seconds_count{${labels}}`]: rate(1000),
  };
}

describe('the alerts', () => {
  test('ask only for what processes tell', () => {
    expect(alerts.filter(({ expr }) => unknownIn(expr).length > 0)).toEqual([]);
  });

  test('each say what is the matter, and how soon somebody has to see to it', () => {
    const lacking = alerts.filter(
      ({ annotations, labels }) =>
        annotations.summary === '' || !['page', 'ticket'].includes(labels.severity),
    );
    expect(lacking).toEqual([]);
  });

  test.each([
    ['within the hour', '40m', '1m', (alert: string) => alert !== 'CanopyHitRatioFell'],
    ['beside the day before', '26h', '5m', (alert: string) => alert === 'CanopyHitRatioFell'],
  ] as const)('each go off once, and not at what is near: %s', (_, at, every, isMeant) => {
    const cases = Object.entries(CASES).filter(([alert]) => isMeant(alert));
    const tests = cases.flatMap(([alert, { fires, silent }]) => [
      ruleTest(alert, fires, at, [{ labels: '{}', value: 1 }]),
      ruleTest(alert, silent, at, []),
    ]);
    const file = scratch({ rule_files: [ALERTS], evaluation_interval: every, tests });
    const { status, said } = promtool('test', 'rules', file);
    expect(said).toContain('SUCCESS');
    expect(status).toBe(0);
  });

  test('all have a case', () => {
    expect(Object.keys(CASES).toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
  });
});

/** That so many alerts of a name fire at a time, in the format of `promtool test rules`. */
const ruleTest = (alert: string, series: Series, at: string, samples: readonly object[]) => ({
  name: `${alert}: ${samples.length}`,
  interval: '1m',
  input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
  promql_expr_test: [
    {
      expr: `count(ALERTS{alertname="${alert}",alertstate="firing"})`,
      eval_time: at,
      exp_samples: samples,
    },
  ],
});
