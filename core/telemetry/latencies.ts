import type { MetricName } from './metrics.ts';
import { type Samples, SUM } from './samples.ts';

/** Upper bounds, seconds: hits take parts of a millisecond, a parent that hangs half a minute. */
const BOUNDS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  30,
] as const;
/** Upper bounds as they are written, the last bucket's among them. */
export const LATENCY_BOUNDS: readonly string[] = [...BOUNDS_SECONDS.map(String), '+Inf'];

const BOUNDS_MS = Float64Array.from(BOUNDS_SECONDS, (seconds) => seconds * 1000);

/** Which of the buckets counts what took so long. */
export function bucketOf(ms: number): number {
  let bucket = 0;
  while (bucket < BOUNDS_MS.length && ms > (BOUNDS_MS[bucket] ?? 0)) bucket++;
  return bucket;
}

/** How often what took how long: a histogram with fixed buckets, into which counting allocates nothing. */
export class Latencies {
  /** One more than there are bounds. */
  readonly #counts = new Float64Array(BOUNDS_MS.length + 1);
  readonly #sumMs = new Float64Array(1);
  count = 0;

  observe(ms: number, bucket = bucketOf(ms)): void {
    this.count++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sumMs[0] = (this.#sumMs[0] as number) + ms;
  }

  get sumSeconds(): number {
    return (this.#sumMs[0] ?? 0) / 1000;
  }

  /** Adds it to a histogram; nothing where nothing was counted. */
  sample(samples: Samples, name: MetricName, ...labels: readonly string[]): void {
    if (this.count === 0) return;
    for (const [bound, count] of this.cumulative()) samples.add(name, count, ...labels, bound);
    samples.add(name, this.sumSeconds, ...labels, SUM);
  }

  /** Upper bounds and how many took no longer, as Prometheus has it. */
  *cumulative(): IterableIterator<readonly [string, number]> {
    let total = 0;
    for (const [i, count] of this.#counts.entries()) {
      total += count;
      yield [LATENCY_BOUNDS[i] ?? '+Inf', total];
    }
  }
}
