import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { rendezvous } from '#core/tree/rendezvous.ts';

const candidates = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
    weight: fc.double({ min: 0.1, max: 100, noNaN: true }),
  }),
  { selector: ({ name }) => name, minLength: 1, maxLength: 12 },
);

test('every candidate is ranked once, whatever order they come in', () => {
  fc.assert(
    fc.property(candidates, fc.string(), (nodes, key) => {
      const ranked = rendezvous(nodes, key);
      expect(ranked.toSorted(byName)).toEqual(nodes.toSorted(byName));
      expect(rendezvous(nodes.toReversed(), key)).toEqual(ranked);
    }),
  );
});

test('one that is lost moves only the keys that it had', () => {
  fc.assert(
    fc.property(candidates, fc.string(), fc.nat(), (nodes, key, index) => {
      const lost = nodes[index % nodes.length];
      const before = rendezvous(nodes, key).filter((node) => node !== lost);
      expect(
        rendezvous(
          nodes.filter((node) => node !== lost),
          key,
        ),
      ).toEqual(before);
    }),
  );
});

test('keys are shared out by weight', () => {
  const nodes = [
    { name: 'mid-tier-frankfurt', weight: 1 },
    { name: 'mid-tier-london', weight: 1 },
    { name: 'mid-tier-paris', weight: 2 },
  ];
  const keys = Array.from({ length: 20_000 }, (_, i) => `site http://www.example.org/${i}.jpg`);
  const share = (name: string): number =>
    keys.filter((key) => rendezvous(nodes, key)[0]?.name === name).length / keys.length;
  expect(share('mid-tier-frankfurt')).toBeCloseTo(0.25, 1);
  expect(share('mid-tier-london')).toBeCloseTo(0.25, 1);
  expect(share('mid-tier-paris')).toBeCloseTo(0.5, 1);
});

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
