import type { Condition } from './health.ts';
import type { Parent, Stage } from './parents.ts';
import { rendezvous } from './rendezvous.ts';

/** Why a parent has its place in the order. */
export type Place =
  /** The object's own choice among its stage. */
  | 'preferred'
  /** As above, but asked for so often that the first two take turns. */
  | 'hot'
  /** It has more requests under way than its share of all, so others come first. */
  | 'loaded'
  /** It has failed: asked only when no other is left. */
  | 'open';

export interface Choice {
  readonly parent: Parent;
  readonly place: Place;
}

/** What is known of parents as of now. */
export interface Conditions {
  readonly of: (name: string) => Condition;
  /** Requests under way at it. */
  readonly underWay: (name: string) => number;
}

/**
 * Bounded load (Mirrokni, Thorup and Zadimoghaddam 2016): how far above the average of its stage a
 * parent may be. The lower, the more even; the higher, the fewer objects are looked for at a parent
 * that does not have them.
 */
const LOAD_FACTOR = 1.5;
/** Requests under way that any parent may have: little load is never uneven. */
const LOAD_FLOOR = 256;

/** Tries in one stage, and at parents that are no longer believed in. */
const PER_STAGE = 3;
const MOST_NODES = 6;
const MOST_OPEN = 3;
const MOST_HOLDERS = 12;

/**
 * The parents of an object in the order to try them.
 * @param hot which of the first two takes the object where it is asked for that often; else `undefined`
 */
export function choose(
  stages: readonly Stage[],
  key: string,
  conditions: Conditions,
  hot: 0 | 1 | undefined,
): readonly Choice[] {
  const usable: Choice[] = [];
  const open: Choice[] = [];
  for (const stage of stages) {
    const ranked = rank(stage, key, conditions);
    const well = ranked.filter(({ place }) => place !== 'open');
    const wanted = hot === undefined || usable.length > 0 ? well : shared(well, hot);
    usable.push(...wanted.slice(0, PER_STAGE));
    open.push(...ranked.filter(({ place }) => place === 'open'));
  }
  const nodes = usable.filter(({ parent }) => parent.tier === 'mid-tier').slice(0, MOST_NODES);
  const origins = usable.filter(({ parent }) => parent.tier !== 'mid-tier');
  return [...nodes, ...origins, ...open.slice(0, MOST_OPEN)];
}

/** Every mid-tier in the order of `choose`: any may hold what its parents cannot get any more. */
export function holders(
  stages: readonly Stage[],
  key: string,
  conditions: Conditions,
): readonly Choice[] {
  const ranked = stages.flatMap((stage) => rank(stage, key, conditions));
  const nodes = ranked.filter(({ parent }) => parent.tier === 'mid-tier');
  const isOpen = ({ place }: Choice): boolean => place === 'open';
  const believed = nodes.filter((choice) => !isOpen(choice)).slice(0, MOST_HOLDERS);
  return [...believed, ...nodes.filter(isOpen).slice(0, MOST_OPEN)];
}

/** A stage in the object's order, with those after the others that have more than their share to do. */
function rank(stage: Stage, key: string, { of, underWay }: Conditions): readonly Choice[] {
  const known = stage.map((parent) => ({ parent, ...of(parent.name) }));
  const candidates = known.map(({ parent, standing, share }) => ({
    parent,
    name: parent.name,
    weight: parent.weight * share,
    isOpen: standing === 'open',
    load: underWay(parent.name),
  }));
  const usable = candidates.filter(({ isOpen }) => !isOpen);
  const load = usable.reduce((sum, candidate) => sum + candidate.load, 1);
  const weight = usable.reduce((sum, candidate) => sum + candidate.weight, 0);
  const bound = (own: number): number =>
    Math.max(LOAD_FLOOR, Math.ceil((LOAD_FACTOR * load * own) / weight));
  const placed = rendezvous(candidates, key).map((candidate): Choice => {
    const { parent, isOpen } = candidate;
    if (isOpen) return { parent, place: 'open' };
    const isLoaded = candidate.load >= bound(candidate.weight);
    return { parent, place: isLoaded ? 'loaded' : 'preferred' };
  });
  const isLoaded = ({ place }: Choice): boolean => place === 'loaded';
  return [...placed.filter((choice) => !isLoaded(choice)), ...placed.filter(isLoaded)];
}

/** The first two in the order of `turn`, where both are well and unloaded. */
function shared(choices: readonly Choice[], turn: 0 | 1): readonly Choice[] {
  const [first, second, ...others] = choices;
  if (turn === 0 || first === undefined || second?.place !== 'preferred') return choices;
  return [{ ...second, place: 'hot' }, first, ...others];
}
