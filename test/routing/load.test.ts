import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextShed } from '#control-plane/routing/engine/load.ts';

/** Lets an edge of which `wanted` is asked shed until it rests. @returns each shed part on the way */
function history(wanted: (round: number) => number, rounds: number, from = 0): number[] {
  const sheds = [from];
  for (let round = 0; round < rounds; round++) {
    const shed = sheds.at(-1) ?? 0;
    sheds.push(nextShed(shed, wanted(round) * (1 - shed), 0.8));
  }
  return sheds;
}

describe('nextShed', () => {
  it('sheds nothing up to the threshold', () => {
    expect(history(() => 0.8, 10).at(-1)).toBe(0);
  });

  it('sheds by steps until what is left fits', () => {
    const sheds = history(() => 1.6, 30);
    expect(sheds.slice(0, 3)).toEqual([0, 0.05, 0.1]);
    expect(sheds.at(-1)).toBe(0.5);
  });

  it('takes clients back by steps once there is room for them', () => {
    expect(history(() => 0.5, 30, 0.5).at(-1)).toBe(0);
  });

  it('comes to rest under any steady demand, and stays there', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 10, noNaN: true }),
        fc.integer({ min: 0, max: 19 }),
        (wanted, twentieths) => {
          const rest = history(() => wanted, 60, twentieths / 20).slice(-20);
          expect(new Set(rest).size).toBe(1);
          // Half a step too little at most, and a twentieth is always left.
          const most = Math.max(0.8 + wanted * 0.026, wanted * 0.051);
          expect(wanted * (1 - (rest[0] ?? 0))).toBeLessThanOrEqual(most);
        },
      ),
    );
  });

  it('does not follow a demand that trembles around the threshold', () => {
    const sheds = history((round) => (round % 2 === 0 ? 0.79 : 0.86), 100).slice(-50);
    expect(new Set(sheds).size).toBe(1);
  });
});
