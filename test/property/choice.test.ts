import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { choose, type Conditions } from '#core/tree/choice.ts';
import type { Condition } from '#core/tree/health.ts';
import type { Parent, Stage } from '#core/tree/parents.ts';

const WELL: Condition = { standing: 'closed', share: 1 };
const CALM: Conditions = { of: () => WELL, underWay: () => 0 };

const stageOf = (tier: Parent['tier'], weights: readonly number[], prefix = 'n'): Stage =>
  weights.map((weight, i) => ({
    name: `${prefix}${i}`,
    url: `http://${prefix}${i}`,
    tier,
    weight,
  }));

const weights = fc.array(fc.double({ min: 0.1, max: 100, noNaN: true }), {
  minLength: 1,
  maxLength: 10,
});
const conditions = fc.infiniteStream(
  fc.record<Condition>({
    standing: fc.constantFrom('closed', 'half-open', 'open'),
    share: fc.double({ min: 0.1, max: 1, noNaN: true }),
  }),
);

const firstOf = (stage: Stage, key: string, given: Conditions = CALM): string | undefined =>
  choose([stage], key, given, undefined)[0]?.parent.name;

test('a mid-tier that is lost or comes back moves only its share', () => {
  fc.assert(
    fc.property(weights, fc.string(), fc.nat(), (given, key, index) => {
      const stage = stageOf('mid-tier', given);
      const lost = stage[index % stage.length];
      const before = firstOf(stage, key);
      const without = firstOf(stage, key, {
        ...CALM,
        of: (name) => ({ ...WELL, standing: name === lost?.name ? 'open' : 'closed' }),
      });
      const isMoved = before === lost?.name && stage.length > 1;
      expect(without !== before).toBe(isMoved);
    }),
  );
});

const startingAt = (share: number): Conditions => ({
  ...CALM,
  of: (name) => ({ ...WELL, share: name === 'n0' ? share : 1 }),
});

test('one that starts slowly only gains objects as its share grows', () => {
  fc.assert(
    fc.property(
      weights,
      fc.string(),
      fc.tuple(
        fc.double({ min: 0.1, max: 1, noNaN: true }),
        fc.double({ min: 0.1, max: 1, noNaN: true }),
      ),
      (given, key, shares) => {
        const stage = stageOf('mid-tier', given);
        const [less = 0, more = 0] = shares.toSorted((a, b) => a - b);
        const [before, after] = [less, more].map((share) => firstOf(stage, key, startingAt(share)));
        expect([before, 'n0']).toContain(after);
      },
    ),
  );
});

test('whatever fails, nobody is asked twice, an origin server is among them, and open ones are last', () => {
  fc.assert(
    fc.property(
      fc.array(weights, { maxLength: 5 }),
      weights,
      fc.string(),
      conditions,
      (groups, servers, key, stream) => {
        const stages = [
          ...groups.map((group, i) => stageOf('mid-tier', group, `g${i}-`)),
          stageOf('customer', servers, 'server'),
        ];
        const known = new Map(stages.flat().map(({ name }) => [name, stream.next().value]));
        const of = (name: string): Condition => known.get(name) ?? WELL;
        const choices = choose(stages, key, { ...CALM, of }, undefined);
        const names = choices.map(({ parent }) => parent.name);
        expect(new Set(names).size).toBe(names.length);
        const isOpen = names.map((name) => of(name).standing === 'open');
        expect(isOpen.toSorted((a, b) => Number(a) - Number(b))).toEqual(isOpen);
        expect(names.length).toBeGreaterThan(0);
        const hasServer = stages.at(-1)?.some(({ name }) => of(name).standing !== 'open') === true;
        expect(!hasServer || names.some((name) => name.startsWith('server'))).toBe(true);
      },
    ),
  );
});

test('under load no parent gets more than its bound, and others keep their order', () => {
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 3000 }), (given, requests) => {
      const stage = stageOf('mid-tier', given);
      const load = new Map<string, number>();
      const underWay = (name: string): number => load.get(name) ?? 0;
      for (let i = 0; i < requests; i++) {
        // One object that everybody wants: the worst that sharding knows.
        const name = firstOf(stage, 'hot', { ...CALM, underWay }) ?? '';
        load.set(name, underWay(name) + 1);
      }
      const total = given.reduce((sum, weight) => sum + weight, 0);
      for (const { name, weight } of stage) {
        expect(underWay(name)).toBeLessThanOrEqual(
          Math.max(256, Math.ceil((1.5 * requests * weight) / total) + 1),
        );
      }
    }),
    { numRuns: 30 },
  );
});

test('little load is never spread', () => {
  const stage = stageOf('mid-tier', [1, 1, 1]);
  const first = firstOf(stage, 'key');
  expect(firstOf(stage, 'key', { ...CALM, underWay: (n) => (n === first ? 63 : 0) })).toBe(first);
});

test('a hot object takes turns between its first two, and leaves the others alone', () => {
  fc.assert(
    fc.property(weights, fc.string(), (given, key) => {
      const stages = [stageOf('mid-tier', given), stageOf('customer', [1], 'server')];
      const cold = choose(stages, key, CALM, undefined).map(({ parent }) => parent.name);
      const [one, other] = ([0, 1] as const).map((turn) =>
        choose(stages, key, CALM, turn).map(({ parent }) => parent.name),
      );
      expect(one).toEqual(cold);
      const swapped = given.length > 1 ? [cold[1], cold[0], ...cold.slice(2)] : cold;
      expect(other).toEqual(swapped);
    }),
  );
});
