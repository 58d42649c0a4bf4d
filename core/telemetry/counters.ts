import type { Action, Reason } from '#core/cache/policy/decide.ts';
import { type ErrorCode, ERRORS } from '#core/errors.ts';
import { CACHE_RESULTS, type CacheResult, cacheResult } from './cache-result.ts';
import { isHit, type Outcome } from './cache-status.ts';
import { bucketOf, Latencies, LATENCY_BOUNDS } from './latencies.ts';
import { Rows } from './rows.ts';
import { type Samples, SUM } from './samples.ts';

/** Sites with metrics of their own; all others share those of `_other`. */
export const MAX_SITES = 100;
/** Requests that are of no site, such as those for an unknown host. No site can be named so. */
const NO_SITE = '_none';

/** Rows of the first sites by name. @param width see `Rows` */
export function siteRows(width: number): Rows {
  const rows = new Rows(width, MAX_SITES + 1);
  rows.name([NO_SITE]);
  return rows;
}

/** 1xx to 5xx, for each result; then the bytes. */
const CLASSES = 5;
const WIDTH = CLASSES + 1;
const BYTES = CLASSES;

/** By version of HTTP, after all results. */
const HTTP_VERSIONS = ['1.0', '1.1', '2.0'] as const;
const VERSIONS_AT = CACHE_RESULTS.length * WIDTH;
/** Then when answers began, by bucket, and the sum of that, ms. */
const FIRST_BYTES_AT = VERSIONS_AT + HTTP_VERSIONS.length;
const FIRST_BYTES_SUM_AT = FIRST_BYTES_AT + LATENCY_BOUNDS.length;
const NO_LATENCIES = new Latencies();

interface Count {
  count: number;
}

/** Where all requests of one kind are counted. */
export class Counter {
  readonly #totals: Counters;
  isHit = false;
  row: Float64Array = new Float64Array(0);
  statusAt = 0;
  bytesAt = 0;
  /** -1: nowhere. */
  versionAt = -1;
  decision: Count = { count: 0 };
  error: Count | undefined = undefined;
  firstBytes = NO_LATENCIES;
  durations = NO_LATENCIES;

  constructor(totals: Counters) {
    this.#totals = totals;
  }

  /** See `Counters.record`. */
  count(bytes: number, firstByteMs: number, durationMs: number): void {
    const totals = this.#totals;
    totals.requests++;
    totals.bytesSent += bytes;
    if (this.isHit) {
      totals.hits++;
      totals.hitBytes += bytes;
    }
    const { row, statusAt, bytesAt, versionAt } = this;
    increase(row, statusAt, 1);
    increase(row, bytesAt, bytes);
    if (versionAt !== -1) increase(row, versionAt, 1);
    this.decision.count++;
    if (this.error !== undefined) this.error.count++;
    const bucket = bucketOf(firstByteMs);
    increase(row, FIRST_BYTES_AT + bucket, 1);
    increase(row, FIRST_BYTES_SUM_AT, firstByteMs);
    this.firstBytes.observe(firstByteMs, bucket);
    this.durations.observe(durationMs);
  }
}

/** Totals of one thread since it started. Counting allocates nothing once each kind was counted. */
export class Counters {
  requests = 0;
  hits = 0;
  hitBytes = 0;
  /** Bytes of content sent to clients. */
  bytesSent = 0;
  readonly sites = siteRows(FIRST_BYTES_SUM_AT + 1);
  readonly #decisions: Partial<Record<Action, Partial<Record<Reason, Count>>>> = {};
  readonly #errors: Partial<Record<ErrorCode, Count>> = {};
  readonly #firstBytes = byResult(() => new Latencies());
  readonly #durations = byResult(() => new Latencies());
  readonly #any = new Counter(this);

  /**
   * @param bytes of content sent
   * @param firstByteMs from the request's arrival to the answer's header section
   * @param durationMs from the request's arrival to the answer's end
   * @param httpVersion `1.0`, `1.1` or `2.0`
   */
  record(
    site: string | undefined,
    outcome: Outcome,
    status: number,
    bytes: number,
    firstByteMs: number,
    durationMs: number,
    httpVersion: string,
  ): void {
    const counter = this.#any;
    this.#aim(counter, site, outcome, status, httpVersion);
    counter.count(bytes, firstByteMs, durationMs);
  }

  /** What counts, with nothing to look up, requests that have all this in common; see `record`. */
  counter(
    site: string | undefined,
    outcome: Outcome,
    status: number,
    httpVersion: string,
  ): Counter {
    const counter = new Counter(this);
    this.#aim(counter, site, outcome, status, httpVersion);
    return counter;
  }

  #aim(
    counter: Counter,
    site: string | undefined,
    outcome: Outcome,
    status: number,
    httpVersion: string,
  ): void {
    const { action, reason, detail } = outcome;
    const result = cacheResult(outcome);
    const at = CACHE_RESULTS.indexOf(result) * WIDTH;
    const version = HTTP_VERSIONS.indexOf(httpVersion as (typeof HTTP_VERSIONS)[number]);
    const reasons = (this.#decisions[action] ??= {});
    counter.isHit = isHit(outcome);
    counter.row = this.sites.row(site ?? NO_SITE);
    counter.statusAt = at + Math.floor(status / 100) - 1;
    counter.bytesAt = at + BYTES;
    counter.versionAt = version === -1 ? -1 : VERSIONS_AT + version;
    counter.decision = reasons[reason] ??= { count: 0 };
    counter.error = undefined;
    if (detail !== undefined && detail in ERRORS) {
      counter.error = this.#errors[detail as ErrorCode] ??= { count: 0 };
    }
    counter.firstBytes = this.#firstBytes[result];
    counter.durations = this.#durations[result];
  }

  /** How often something was decided for a reason. */
  decided(action: Action, reason: Reason): number {
    return this.#decisions[action]?.[reason]?.count ?? 0;
  }

  sample(samples: Samples): void {
    for (const [site, row] of this.sites) {
      for (const [i, result] of CACHE_RESULTS.entries()) {
        const counts = row.subarray(i * WIDTH, i * WIDTH + CLASSES);
        for (const [j, count] of counts.entries()) {
          if (count > 0) samples.add('canopy_requests_total', count, site, result, `${j + 1}xx`);
        }
        const bytes = row[i * WIDTH + BYTES] ?? 0;
        if (bytes > 0) samples.add('canopy_sent_bytes_total', bytes, site, result);
      }
      for (const [i, version] of HTTP_VERSIONS.entries()) {
        const count = row[VERSIONS_AT + i] ?? 0;
        if (count > 0)
          samples.add('canopy_protocol_requests_total', count, site, `HTTP/${version}`);
      }
      sampleFirstBytes(site, row, samples);
    }
    for (const [action, reasons] of Object.entries(this.#decisions)) {
      for (const [reason, { count }] of Object.entries(reasons)) {
        if (count > 0) samples.add('canopy_decisions_total', count, action, reason);
      }
    }
    for (const [code, { count }] of Object.entries(this.#errors)) {
      samples.add('canopy_errors_total', count, code);
    }
    for (const result of CACHE_RESULTS) {
      this.#firstBytes[result].sample(samples, 'canopy_first_byte_seconds', result);
      this.#durations[result].sample(samples, 'canopy_request_seconds', result);
    }
  }
}

function sampleFirstBytes(site: string, row: Float64Array, samples: Samples): void {
  const name = 'canopy_site_first_byte_seconds';
  const counts = row.subarray(FIRST_BYTES_AT, FIRST_BYTES_SUM_AT);
  if (counts.every((count) => count === 0)) return;
  let total = 0;
  for (const [i, count] of counts.entries()) {
    total += count;
    samples.add(name, total, site, LATENCY_BOUNDS[i] ?? '');
  }
  samples.add(name, (row[FIRST_BYTES_SUM_AT] ?? 0) / 1000, site, SUM);
}

const byResult = <T>(make: () => T): Readonly<Record<CacheResult, T>> =>
  Object.fromEntries(CACHE_RESULTS.map((result) => [result, make()])) as Record<CacheResult, T>;

const increase = (row: Float64Array, index: number, by: number): void => {
  row[index] = (row[index] ?? 0) + by;
};
