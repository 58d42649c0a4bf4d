import type { Clock } from '#core/clock.ts';
import type { Node } from '#core/contract/node.ts';
import { LATENCY_BUCKETS, type SiteTraffic, type TrafficReport } from '#core/contract/traffic.ts';
import { OTHER } from '#core/telemetry/rows.ts';
import { quantile } from './quantile.ts';

export const STEP_MS = 10_000;
/** Steps that are kept: an hour. Prometheus is for what is older. */
export const STEPS = 360;
/** Pairs of node and site that are told apart, 40 KiB each; further ones share the row `_other` of their node. */
const MAX_SERIES = 2_000;

const COUNTS = ['requests', 'hits', 'bytesSent', 'hitBytes', 'errors'] as const;
const OF_NODE = ['upstreamRequests', 'originRequests'] as const;
const FIELDS = [...COUNTS, ...OF_NODE] as const;
export type TrafficField = (typeof FIELDS)[number];

/** In each step: whether it was reported, the counts, the buckets. */
const COUNTS_AT = 1;
const BUCKETS_AT = COUNTS_AT + FIELDS.length;
const WIDTH = BUCKETS_AT + LATENCY_BUCKETS;

/** What is of the node and of no site. */
const NO_SITE = '';

interface Series {
  readonly node: string;
  readonly site: string;
  readonly steps: Float32Array;
  /** The step that each slot is of, counted from the epoch. */
  readonly stepOf: Float64Array;
}

export type GroupBy = 'none' | 'site' | 'location' | 'tier' | 'node';

export interface TrafficQuery {
  readonly site?: string | undefined;
  readonly location?: string | undefined;
  readonly tier?: string | undefined;
  readonly node?: string | undefined;
  readonly by: GroupBy;
  readonly stepMs: number;
  readonly points: number;
}

/** `null`: nobody has reported. */
type Value = number | null;
type Percentile = 'p50Ms' | 'p90Ms' | 'p99Ms';
export type Figures<T> = Readonly<Record<TrafficField | Percentile, T>>;

export interface TrafficGroup {
  readonly name: string;
  readonly series: Figures<readonly Value[]>;
  readonly total: Figures<Value>;
}

export interface TrafficAnswer {
  readonly stepMs: number;
  /** Where the first step begins, ms since the epoch. */
  readonly from: number;
  readonly groups: readonly TrafficGroup[];
}

/**
 * What the network has served over the last hour, in steps. Every control plane on a state hears
 * every report, and keeps it in memory alone: after a start it knows what was served since.
 */
export class Traffic {
  readonly #clock: Clock;
  readonly #nodes: () => readonly Node[];
  readonly #series = new Map<string, Series>();
  /** The last report of each node. */
  readonly #last = new Map<string, TrafficReport>();

  /** @param nodes that the configuration names; others are forgotten */
  constructor(clock: Clock, nodes: () => readonly Node[]) {
    this.#clock = clock;
    this.#nodes = nodes;
  }

  /** Takes what a node says that it has served since it started. */
  reported(node: string, report: TrafficReport): void {
    const last = this.#last.get(node);
    this.#last.set(node, report);
    const known = last?.run === report.run ? last : undefined;
    // What a run had served before this control plane first heard of it belongs to no step here.
    if (known === undefined && !report.isFirst) return;
    const ofNode = this.#slot(node, NO_SITE);
    ofNode[0] = 1;
    for (const [i, field] of OF_NODE.entries()) {
      add(ofNode, COUNTS_AT + COUNTS.length + i, report[field] - (known?.[field] ?? 0));
    }
    for (const [site, totals] of Object.entries(report.sites)) {
      this.#count(node, site, totals, known?.sites[site]);
    }
  }

  #count(node: string, site: string, now: SiteTraffic, before: SiteTraffic | undefined): void {
    if (now.requests === (before?.requests ?? 0)) return;
    const slot = this.#slot(node, site);
    slot[0] = 1;
    for (const [i, field] of COUNTS.entries()) {
      add(slot, COUNTS_AT + i, now[field] - (before?.[field] ?? 0));
    }
    for (const [i, count] of now.firstByte.entries()) {
      add(slot, BUCKETS_AT + i, count - (before?.firstByte[i] ?? 0));
    }
  }

  /** The numbers of the step that is now. */
  #slot(node: string, site: string): Float32Array {
    const key = `${node} ${site}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      if (this.#series.size >= MAX_SERIES) this.#forget();
      if (this.#series.size >= MAX_SERIES && site !== OTHER && site !== NO_SITE) {
        return this.#slot(node, OTHER);
      }
      const [steps, stepOf] = [new Float32Array(WIDTH * STEPS), new Float64Array(STEPS)];
      this.#series.set(key, (series = { node, site, steps, stepOf }));
    }
    const step = Math.floor(this.#clock.now() / STEP_MS);
    const at = step % STEPS;
    const slot = series.steps.subarray(at * WIDTH, (at + 1) * WIDTH);
    if (series.stepOf[at] !== step) {
      series.stepOf[at] = step;
      slot.fill(0);
    }
    return slot;
  }

  /** Nodes that are no more, and what was not asked for within the hour. */
  #forget(): void {
    const names = new Set(this.#nodes().map(({ name }) => name));
    const oldest = Math.floor(this.#clock.now() / STEP_MS) - STEPS;
    for (const [key, { node, stepOf }] of this.#series) {
      if (!names.has(node) || Math.max(...stepOf) <= oldest) this.#series.delete(key);
    }
    for (const node of this.#last.keys()) if (!names.has(node)) this.#last.delete(node);
  }

  /** What was served, the last step being the one before now: that is complete. */
  query(query: TrafficQuery): TrafficAnswer {
    const { by, points, stepMs } = query;
    const nodes = new Map(this.#nodes().map((node) => [node.name, node]));
    const perPoint = stepMs / STEP_MS;
    const now = Math.floor(this.#clock.now() / STEP_MS);
    const end = now - (now % perPoint);
    const begin = end - points * perPoint;
    const groups = new Map<string, Float64Array>();
    if (by === 'none') groups.set('all', new Float64Array(WIDTH * points));
    for (const series of this.#series.values()) {
      const node = nodes.get(series.node);
      if (node === undefined || !suits(series, node, query)) continue;
      const name = nameIn(by, series, node);
      const sums = groups.get(name) ?? new Float64Array(WIDTH * points);
      groups.set(name, sums);
      for (let slot = 0; slot < STEPS; slot++) {
        const step = series.stepOf[slot] ?? 0;
        if (step < begin || step >= end) continue;
        const to = Math.floor((step - begin) / perPoint) * WIDTH;
        for (let i = 0; i < WIDTH; i++) {
          add(sums, to + i, series.steps[slot * WIDTH + i] ?? 0);
        }
      }
    }
    return {
      stepMs,
      from: begin * STEP_MS,
      groups: [...groups]
        .map(([name, sums]) => ({ name, ...figuresOf(sums, query) }))
        .toSorted((a, b) => (b.total.requests ?? 0) - (a.total.requests ?? 0)),
    };
  }
}

function suits({ site }: Series, node: Node, query: TrafficQuery): boolean {
  const { by } = query;
  if (query.node !== undefined && node.name !== query.node) return false;
  if (query.tier !== undefined && node.tier !== query.tier) return false;
  if (query.location !== undefined && node.location.name !== query.location) return false;
  return site === NO_SITE
    ? query.site === undefined && by !== 'site'
    : query.site === undefined || site === query.site;
}

function nameIn(by: GroupBy, { site }: Series, { name, tier, location }: Node): string {
  return { none: 'all', site, node: name, tier, location: location.name }[by];
}

function figuresOf(
  sums: Float64Array,
  { points, site, by }: TrafficQuery,
): Pick<TrafficGroup, 'series' | 'total'> {
  const rows = Array.from({ length: points }, (_, i) => sums.subarray(i * WIDTH, (i + 1) * WIDTH));
  const all = new Float64Array(WIDTH);
  for (const row of rows) for (const [i, value] of row.entries()) add(all, i, value);
  const ofSite = site !== undefined || by === 'site';
  const value = (row: Float64Array, field: TrafficField): Value => {
    if (row[0] === 0) return null;
    const isOfNode = (OF_NODE as readonly string[]).includes(field);
    return isOfNode && ofSite ? null : (row[COUNTS_AT + FIELDS.indexOf(field)] ?? 0);
  };
  const parts = { p50Ms: 0.5, p90Ms: 0.9, p99Ms: 0.99 };
  const figures = <T>(of: (what: (row: Float64Array) => Value) => T): Figures<T> =>
    Object.fromEntries([
      ...FIELDS.map((field) => [field, of((row) => value(row, field))] as const),
      ...Object.entries(parts).map(
        ([name, part]) => [name, of((row) => quantile(row.subarray(BUCKETS_AT), part))] as const,
      ),
    ]) as Record<TrafficField | Percentile, T>;
  return {
    series: figures((what) => rows.map(what)),
    total: figures((what) => what(all)),
  };
}

const add = (row: Float32Array | Float64Array, index: number, by: number): void => {
  row[index] = (row[index] ?? 0) + by;
};
