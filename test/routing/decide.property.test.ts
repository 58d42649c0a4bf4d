import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, CONDITIONS } from '#control-plane/routing/engine/candidate.ts';
import { Chooser } from '#control-plane/routing/engine/chooser.ts';
import { decide, fieldOf } from '#control-plane/routing/engine/decide.ts';
import { Latencies } from '#control-plane/routing/engine/latencies.ts';
import { distanceKm } from '#control-plane/routing/engine/nearness.ts';
import { clientIn, decided, names, overrides, routing } from './kit.ts';

const point = fc.record({
  latitude: fc.double({ min: -90, max: 90, noNaN: true }),
  longitude: fc.double({ min: -180, max: 180, noNaN: true }),
});
const EVEN = ['well', 'well', 'well'] as const;
const candidate: fc.Arbitrary<Omit<Candidate, 'name'>> = fc.record({
  point,
  continent: fc.constantFrom('EU', 'NA', 'AS'),
  weight: fc.double({ min: 0.1, max: 100, noNaN: true }),
  condition: fc.constantFrom(...EVEN, ...CONDITIONS),
  families: fc.constantFrom(new Set([4] as const), new Set([6] as const), new Set([4, 6] as const)),
  shed: fc.constantFrom(0, 0, 0.3, 1),
});
const candidates = fc
  .array(candidate, { maxLength: 12 })
  .map((list) => list.map((one, i): Candidate => ({ name: `edge-${i}`, ...one })));
const client = fc
  .record({ point, n: fc.nat(255) })
  .map(({ point: at, n }) => clientIn('rome', { point: at, key: `10.0.${n}.0/24` }));

describe('decide, for any edges and clients', () => {
  it('accounts for every edge exactly once: chosen, or dropped with a reason', () => {
    fc.assert(
      fc.property(candidates, client, (edges, who) => {
        const decision = decided({ candidates: edges, client: who, family: 4 });
        const lastWord = new Map(
          decision.verdicts.flatMap(({ dropped }) =>
            dropped.map(({ node, reason }) => [node, reason]),
          ),
        );
        for (const name of names(decision.chosen)) {
          // Only a last resort takes back what was dropped.
          expect(lastWord.has(name) && !decision.isLastResort).toBe(false);
          lastWord.delete(name);
        }
        expect([...lastWord.keys(), ...names(decision.chosen)].toSorted()).toEqual(
          names(edges).toSorted(),
        );
      }),
    );
  });

  it('never breaks what the operator or the protocol forbids, whatever the health', () => {
    fc.assert(
      fc.property(candidates, client, (edges, who) => {
        const { ranked } = decided({
          candidates: edges,
          client: who,
          family: 6,
          site: { within: { continents: ['EU'] } },
          overrides: overrides({ clients: { continents: ['EU'] }, ban: ['edge-0'] }),
        });
        for (const { name, continent, families } of ranked) {
          expect(continent).toBe('EU');
          expect(name).not.toBe('edge-0');
          expect(families.has(6)).toBe(true);
        }
      }),
    );
  });

  it('chooses the same without accounting for the rest', () => {
    const site = { name: 'film', routing: routing({ answers: 3 }) };
    const measured = fc.array(fc.record({ edge: fc.nat(11), roundTripMs: fc.nat(300) }));
    const nearMs = fc.constantFrom(0, 2, 50, 500);
    fc.assert(
      fc.property(candidates, client, measured, nearMs, (edges, who, known, near) => {
        const one = { ...site, routing: { ...site.routing, nearMs: near } };
        const entry = {
          level: 'network' as const,
          of: '192.0.2.0/24',
          edges: known.map(({ edge, roundTripMs }) => ({
            edge: `edge-${edge}`,
            roundTripMs,
            samples: 9,
          })),
        };
        const latencies = new Latencies(known.length === 0 ? [] : [entry]);
        const all = { site: one, candidates: edges, client: who, overrides: overrides() };
        const { chosen } = decide({ ...all, latencies });
        const chooser = new Chooser(fieldOf(all, []), one);
        expect(names(chooser.choose(who, latencies.about(who)))).toEqual(names(chosen));
      }),
      { numRuns: 300 },
    );
  });

  it('names an edge that is not well only if none is', () => {
    fc.assert(
      fc.property(candidates, client, (edges, who) => {
        const { ranked, isLastResort } = decided({ candidates: edges, client: who });
        const isAnyWell = edges.some(({ condition }) => condition === 'well');
        expect(isLastResort).toBe(!isAnyWell && edges.length > 0);
        const best = CONDITIONS.find((one) => edges.some(({ condition }) => condition === one));
        const conditions = new Set(ranked.map(({ condition }) => condition));
        expect([...conditions]).toEqual(best === undefined ? [] : [best]);
      }),
    );
  });

  it('chooses the nearest of the well ones that do not shed the client', () => {
    fc.assert(
      fc.property(candidates, client, (edges, who) => {
        const calm = edges.map((one) => ({ ...one, shed: 0 }));
        const { chosen } = decided({ candidates: calm, client: who, site: { nearMs: 0 } });
        const well = calm.filter(({ condition }) => condition === 'well');
        const [first] = chosen;
        if (first === undefined || well.length === 0 || who.point === undefined) return;
        const nearest = Math.min(...well.map(({ point: at }) => distanceKm(at, who.point ?? at)));
        expect(distanceKm(first.point, who.point)).toBeCloseTo(nearest, 6);
      }),
    );
  });

  it('does not depend on the order of the edges', () => {
    fc.assert(
      fc.property(candidates, client, (edges, who) => {
        const one = decided({ candidates: edges, client: who });
        const other = decided({ candidates: edges.toReversed(), client: who });
        expect(names(other.ranked)).toEqual(names(one.ranked));
      }),
    );
  });

  it('moves nobody but the clients of an edge that goes', () => {
    fc.assert(
      fc.property(candidates, client, fc.nat(11), (edges, who, gone) => {
        const wish = { answers: 1, nearMs: 0 };
        const before = decided({ candidates: edges, client: who, site: wish }).chosen[0]?.name;
        fc.pre(before !== `edge-${gone}`);
        const rest = edges.filter((_, i) => i !== gone);
        // Where all are bad, or all shed, one that goes changes what the others are.
        fc.pre(rest.some(({ condition, shed }) => condition === 'well' && shed === 0));
        const after = decided({ candidates: rest, client: who, site: wish }).chosen[0]?.name;
        expect(after).toBe(before);
      }),
    );
  });
});
