import * as fc from 'fast-check';
import { afterEach, beforeEach, test, vi } from 'vitest';
import { purgeModeSchema } from '#core/contract/purge.ts';
import { Connections } from '#core/tree/attempt.ts';
import { FenceModel, KINDS, type Setup, type Step } from './fence-model.ts';

// Room for ten thousand is made at once, and is all that a schedule would cost.
vi.mock('lru-cache', async (original) => {
  const { LRUCache } = await original<typeof import('lru-cache')>();
  class Small extends LRUCache<string, object> {
    constructor(options: ConstructorParameters<typeof LRUCache<string, object>>[0]) {
      super(options.max === undefined ? options : { ...options, max: Math.min(options.max, 64) });
    }
  }
  return { LRUCache: Small };
});

const any = fc.nat({ max: 11 });
const of = <K extends Step['do']>(what: K, arbitraries: object): fc.Arbitrary<Step> =>
  fc.record({ do: fc.constant(what), ...arbitraries }) as fc.Arbitrary<Step>;

const step = fc.oneof(
  { weight: 10, arbitrary: of('get', { edge: any, object: any }) },
  { weight: 1, arbitrary: of('change', { object: any }) },
  {
    weight: 5,
    arbitrary: of('publish', {
      object: any,
      kind: fc.constantFrom(...KINDS),
      mode: fc.constantFrom(...purgeModeSchema.options),
    }),
  },
  { weight: 5, arbitrary: of('round', {}) },
  { weight: 3, arbitrary: of('deliver', { node: any }) },
  { weight: 2, arbitrary: of('acknowledge', { node: any }) },
  { weight: 2, arbitrary: of('beat', { node: any }) },
  { weight: 1, arbitrary: of('link', { node: any }) },
  { weight: 1, arbitrary: of('restart', { node: any }) },
  { weight: 1, arbitrary: of('snapshot', { node: any }) },
  { weight: 1, arbitrary: of('fail', { midTier: any }) },
  { weight: 4, arbitrary: of('hold', { after: fc.nat({ max: 3 }) }) },
  { weight: 4, arbitrary: of('release', { message: any }) },
  { weight: 1, arbitrary: of('restart control plane', {}) },
  { weight: 2, arbitrary: of('wait', { ms: fc.constantFrom(100, 300, 3000, 11_000) }) },
);

const setup: fc.Arbitrary<Setup> = fc.record({
  onLeaseEnd: fc.constantFrom('serve', 'revalidate'),
  staleWhileRevalidateSeconds: fc.constantFrom(0, 600),
  // A lease's margin allows for a tenth.
  paces: fc.array(fc.constantFrom(0.96, 1, 1.04), { minLength: 4, maxLength: 4 }),
  offsetsMs: fc.array(fc.constantFrom(-60_000, 0, 60_000), { minLength: 4, maxLength: 4 }),
});

beforeEach(() => {
  // A parent's backoff is spread out by chance.
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
});
afterEach(() => vi.restoreAllMocks());

const play = async (setUp: Setup, steps: readonly Step[]): Promise<void> => {
  const model = new FenceModel(setUp);
  vi.spyOn(Connections.prototype, 'send').mockImplementation((attempt) => model.send(attempt));
  await model.play(steps);
};

test(
  'once a purge is complete, no node in service serves what it purged',
  { timeout: 120_000 },
  () =>
    fc.assert(fc.asyncProperty(setup, fc.array(step, { maxLength: 60, size: 'max' }), play), {
      numRuns: Number(process.env['CANOPY_FENCE_RUNS'] ?? 2_000),
    }),
);
