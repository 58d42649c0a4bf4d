import { hash32 } from '#core/hash.ts';
import type { Candidate } from './candidate.ts';
import type { Client } from './client.ts';
import type { DropReason } from './decide.ts';

/** How far a shed part moves at a time, and how fine it is. */
const STEP = 0.05;
/** Some clients are always left, for what they cost tells what all would. */
const MOST = 0.95;
/** How far below `spillAt` an edge has to be before clients come back: in between nothing moves. */
const HYSTERESIS = 0.1;

/**
 * The part of an edge's clients that should go elsewhere next: by one step towards what its load asks for.
 * @param shed the part that goes elsewhere now
 * @param load the part of the edge's limits in use now: 1 is all of them
 * @param spillAt the part at which shedding begins
 */
export function nextShed(shed: number, load: number, spillAt: number): number {
  const wanted = load / (1 - Math.min(shed, MOST));
  const least = excess(wanted, spillAt);
  const most = excess(wanted, Math.max(spillAt - HYSTERESIS, spillAt / 2));
  if (least > shed + STEP / 2) return step(shed, 1);
  return most < shed - STEP / 2 ? step(shed, -1) : shed;
}

/** The part of `wanted` that lies beyond `limit`. */
const excess = (wanted: number, limit: number): number =>
  wanted > limit ? Math.min(MOST, 1 - limit / wanted) : 0;

const step = (shed: number, by: 1 | -1): number =>
  Math.min(MOST, Math.max(0, Number((shed + by * STEP).toFixed(2))));

/** Edges that do not shed this client; where all would, none does. A growing part adds clients, and moves none back. */
export function unspilled(
  candidates: readonly Candidate[],
  { key }: Client,
): (candidate: Candidate) => DropReason | undefined {
  const sheds = ({ name, shed }: Candidate): boolean =>
    shed > 0 && (hash32('shed', name, key) + 0.5) / 2 ** 32 < shed;
  const allShed = candidates.every(sheds);
  return (candidate) => (!allShed && sheds(candidate) ? 'spilled' : undefined);
}
