import * as fc from 'fast-check';
import type * as LruCache from 'lru-cache';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { purgeModeSchema } from '#core/contract/purge.ts';
import { Connections } from '#core/tree/attempt.ts';
import { FenceModel, type Setup } from './fence-model.ts';
import { KINDS, type Step } from './fence-steps.ts';

// Room for ten thousand is made at once, and is all that a schedule would cost.
vi.mock('lru-cache', async (original) => {
  const { LRUCache } = await original<typeof LruCache>();
  class Small extends LRUCache<string, object> {
    constructor(options: LruCache.LRUCache.Options<string, object, unknown>) {
      super(options.max === undefined ? options : { ...options, max: Math.min(options.max, 64) });
    }
  }
  return { LRUCache: Small };
});

/** One of a few; most often the first, so that what happens concerns one another. */
const any = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(3) });
const node = fc.oneof({ weight: 2, arbitrary: fc.constantFrom(0, 2) }, fc.nat(3));
const controlPlane = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(1));
const of = (what: Step['do'], arbitraries: object): fc.Arbitrary<Step> =>
  fc.record({ do: fc.constant(what), ...arbitraries }) as fc.Arbitrary<Step>;

const step = fc.oneof(
  { weight: 10, arbitrary: of('get', { edge: any, object: any }) },
  { weight: 1, arbitrary: of('change', { object: any }) },
  {
    weight: 5,
    arbitrary: of('publish', {
      object: any,
      kind: fc.constantFrom(...KINDS, 'tag' as const),
      mode: fc.constantFrom(...purgeModeSchema.options),
      controlPlane,
    }),
  },
  { weight: 5, arbitrary: of('round', {}) },
  { weight: 4, arbitrary: of('deliver', { node }) },
  { weight: 2, arbitrary: of('acknowledge', { node }) },
  { weight: 2, arbitrary: of('beat', { node }) },
  { weight: 2, arbitrary: of('link', { node }) },
  { weight: 1, arbitrary: of('restart', { node }) },
  { weight: 1, arbitrary: of('snapshot', { node }) },
  { weight: 1, arbitrary: of('fail', { midTier: any }) },
  { weight: 4, arbitrary: of('hold', { after: fc.nat({ max: 3 }) }) },
  { weight: 4, arbitrary: of('release', { message: any }) },
  { weight: 1, arbitrary: of('restart control plane', { controlPlane }) },
  { weight: 1, arbitrary: of('restart all control planes', {}) },
  { weight: 2, arbitrary: of('fail over', { node }) },
  { weight: 4, arbitrary: of('hear', { controlPlane: fc.nat(1) }) },
  { weight: 3, arbitrary: of('wait', { ms: fc.constantFrom(300, 3400, 11_000) }) },
);

const setup: fc.Arbitrary<Setup> = fc.record({
  onLeaseEnd: fc.constantFrom('serve', 'revalidate'),
  staleWhileRevalidateSeconds: fc.constantFrom(0, 600),
  // A lease's margin allows for a tenth.
  paces: fc.array(fc.constantFrom(0.92, 1, 1.08), { minLength: 4, maxLength: 4 }),
  offsetsMs: fc.array(fc.constantFrom(-60_000, 0, 60_000), { minLength: 4, maxLength: 4 }),
});

beforeEach(() => {
  // A parent's backoff is spread out by chance.
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
});
afterEach(() => vi.restoreAllMocks());

test(
  'once a purge is complete, no node in service serves what it purged',
  { timeout: 300_000 },
  async () => {
    const schedules = fc.asyncProperty(setup, fc.array(step, { maxLength: 60, size: 'max' }), play);
    const numRuns = Number(process.env['CANOPY_FENCE_RUNS'] ?? 2_000);
    await expect(fc.assert(schedules, { numRuns })).resolves.toBeUndefined();
  },
);

async function play(setUp: Setup, steps: readonly Step[]): Promise<void> {
  const model = new FenceModel(setUp);
  vi.spyOn(Connections.prototype, 'send').mockImplementation((attempt) => model.send(attempt));
  expect(await model.play(steps)).toEqual([]);
}
