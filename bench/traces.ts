import { normal, seededRandom } from './random.ts';

/** Requests in order. */
export interface Trace {
  readonly name: string;
  /** The object of each request. */
  readonly ids: Uint32Array;
  /** Bytes of each object. */
  readonly bytes: Float64Array;
}

export type SizeMix = 'web' | 'cdn' | 'downloads' | 'even';

export interface TraceShape {
  readonly name: string;
  readonly requests: number;
  /** Objects that are asked for again and again. */
  readonly objects: number;
  /** Exponent of Zipf's law: the object of rank n is asked for in proportion to n ** -zipf. */
  readonly zipf: number;
  readonly sizes: SizeMix;
  /** Share of the requests that go to objects which nobody asks for again. */
  readonly oneHitFraction?: number;
  /** Now and then somebody asks for this many objects in a row, each once. */
  readonly scanObjects?: number;
  /** Share of the objects that change ranks between the first request and the last. */
  readonly driftFraction?: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

const SIZES: Readonly<Record<SizeMix, (random: () => number) => number>> = {
  web: (random) => logNormal(random, 10 * KIB, 1.6, 20 * MIB),
  cdn: (random) => {
    const kind = random();
    if (kind < 0.65) return logNormal(random, 10 * KIB, 1.5, 5 * MIB);
    if (kind < 0.93) return logNormal(random, 80 * KIB, 1, 10 * MIB);
    return logNormal(random, 1.5 * MIB, 0.7, 20 * MIB);
  },
  even: () => MIB,
  downloads: (random) => logNormal(random, 2 * MIB, 1.8, 500 * MIB),
};

const logNormal = (random: () => number, median: number, sigma: number, most: number): number =>
  Math.ceil(Math.min(most, median * Math.exp(sigma * normal(random))));

const PAUSE_BETWEEN_SCANS = 10;

/** Makes the requests of a shape, the same every time. */
export function makeTrace(shape: TraceShape, seed = 1): Trace {
  const random = seededRandom(seed);
  const { objects, requests, oneHitFraction = 0, scanObjects = 0, driftFraction = 0 } = shape;
  const ranks = zipfRanks(objects, shape.zipf, random);
  const byRank = shuffled(objects, random);
  const ids = new Uint32Array(requests);
  const swapEvery = driftFraction === 0 ? Infinity : requests / (driftFraction * objects);
  let swapAt = swapEvery;
  // Objects beyond those of the law are asked for once, by one-hit requests, or now and then, by scans.
  const scanned = objects;
  let next = objects + scanObjects;
  let scanning = -scanObjects * PAUSE_BETWEEN_SCANS;
  for (let i = 0; i < requests; i++) {
    for (; i >= swapAt; swapAt += swapEvery) swap(byRank, random);
    if (scanObjects > 0 && ++scanning >= scanObjects) scanning = -scanObjects * PAUSE_BETWEEN_SCANS;
    if (scanObjects > 0 && scanning >= 0) ids[i] = scanned + scanning;
    else if (random() < oneHitFraction) ids[i] = next++;
    else ids[i] = byRank[ranks()] as number;
  }
  const bytes = new Float64Array(next);
  for (let i = 0; i < next; i++) bytes[i] = SIZES[shape.sizes](random);
  return { name: shape.name, ids, bytes };
}

/** Bytes of all that is asked for. */
export function footprintBytes({ ids, bytes }: Trace): number {
  const seen = new Uint8Array(bytes.length);
  let total = 0;
  for (const id of ids) {
    if (seen[id] === 1) continue;
    seen[id] = 1;
    total += bytes[id] as number;
  }
  return total;
}

function zipfRanks(objects: number, exponent: number, random: () => number): () => number {
  const upTo = new Float64Array(objects);
  let sum = 0;
  for (let i = 0; i < objects; i++) upTo[i] = sum += (i + 1) ** -exponent;
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = objects - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((upTo[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function shuffled(length: number, random: () => number): Uint32Array {
  const all = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) exchange(all, i, Math.floor(random() * (i + 1)));
  return all;
}

/** An object of any rank changes places with another: what was popular is not, and the other way round. */
const swap = (byRank: Uint32Array, random: () => number): void =>
  exchange(byRank, Math.floor(random() ** 3 * byRank.length), Math.floor(random() * byRank.length));

function exchange(array: Uint32Array, i: number, j: number): void {
  [array[i], array[j]] = [array[j] as number, array[i] as number];
}

const shape = (name: string, zipf: number, sizes: SizeMix, more: Partial<TraceShape> = {}) => ({
  name,
  zipf,
  sizes,
  requests: 500_000,
  objects: 100_000,
  ...more,
});

/** What benchmarks and tests of policies replay. */
export const SHAPES: readonly TraceShape[] = [
  shape('web 0.8', 0.8, 'web'),
  shape('web 1.0', 1, 'web'),
  shape('cdn 0.9', 0.9, 'cdn'),
  shape('cdn 1.1', 1.1, 'cdn'),
  shape('downloads 0.9', 0.9, 'downloads'),
  shape('one-hit wonders', 1, 'cdn', { oneHitFraction: 0.4 }),
  shape('scans', 0.9, 'web', { scanObjects: 10_000 }),
  shape('drift', 0.9, 'cdn', { driftFraction: 3 }),
  shape('drift even', 0.9, 'even', { driftFraction: 3 }),
  shape('even', 0.9, 'even'),
];
