import { z } from 'zod';

/**
 * How often which round trip was seen, in buckets that are each 10 % wider than the last, what is old
 * counting less. Half of what it holds would have to be forged to move its median beyond the rest.
 */
export const histogramSchema = z.strictObject({
  /** Ms since the Unix epoch: what the weights are as of. */
  asOf: z.number(),
  /** Bucket and weight, the lowest bucket first. */
  weights: z.array(z.tuple([z.int(), z.number().positive()])),
});

export type Histogram = z.output<typeof histogramSchema>;

const STEP = Math.log(1.1);
/** In which an observation comes to count half. */
export const HALF_LIFE_MS = 24 * 3_600_000;
/** The most that a histogram weighs: so that a network that is heard all the time follows a change, too. */
export const MOST_WEIGHT = 100;
/** Less is forgotten. */
const LEAST_WEIGHT = 0.05;

const bucketOf = (ms: number): number => Math.round(Math.log(ms) / STEP);
/** The middle of a bucket, so that each of its values is at most 5 % off. */
const msOf = (bucket: number): number => Math.round(Math.exp(bucket * STEP) * 100) / 100;

/** @param now ms since the Unix epoch; wall time that goes back ages nothing */
export function aged({ asOf, weights }: Histogram, now: number): Histogram {
  const factor = 0.5 ** (Math.max(0, now - asOf) / HALF_LIFE_MS);
  return { asOf: now, weights: scaled(weights, factor) };
}

/** With one more observation. */
export function observed(before: Histogram | undefined, ms: number, now: number): Histogram {
  const old = before === undefined ? [] : aged(before, now).weights;
  const total = weigh(old);
  const room = MOST_WEIGHT - 1;
  const kept = total > room ? scaled(old, room / total) : old;
  const bucket = bucketOf(ms);
  const weight = (kept.find(([at]) => at === bucket)?.[1] ?? 0) + 1;
  const others = kept.filter(([at]) => at !== bucket);
  return { asOf: now, weights: [...others, one(bucket, weight)].toSorted(([a], [b]) => a - b) };
}

export const weightOf = ({ weights }: Histogram): number => weigh(weights);

/** Whether two medians are at most one bucket apart, and so might change places with the next observation. */
export const areAlike = (aMs: number, bMs: number): boolean =>
  Math.abs(Math.log(aMs / bMs)) < 1.5 * STEP;

/** The round trip that half of the weight is at or below, ms; `undefined`: there is none. */
export function medianOf({ weights }: Histogram): number | undefined {
  let left = weigh(weights) / 2;
  for (const [bucket, weight] of weights) {
    left -= weight;
    if (left <= 0) return msOf(bucket);
  }
  return undefined;
}

type Weights = Histogram['weights'];

const one = (bucket: number, weight: number): Weights[number] => [bucket, weight];
const weigh = (weights: Weights): number => weights.reduce((sum, [, weight]) => sum + weight, 0);
const scaled = (weights: Weights, factor: number): Weights =>
  weights
    .map(([bucket, weight]) => one(bucket, weight * factor))
    .filter(([, weight]) => weight >= LEAST_WEIGHT);
