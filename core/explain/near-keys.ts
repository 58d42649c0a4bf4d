import type { KeyDifference, NearKeys } from '#core/contract/explain.ts';
import type { CacheEngine, Lookup } from '#core/cache/engine.ts';
import { currentAgeMs } from '#core/cache/policy/decide.ts';
import { freshness } from '#core/cache/policy/freshness.ts';
import { keyDifferences } from './differences.ts';

/** Objects that are looked at; there may be many millions. */
const MAX_LOOKED_AT = 100_000;
/** Near ones that are told of. */
export const MAX_NEAR = 5;
/** What differs in more is another thing. */
const MOST_DIFFERENCES = 4;

/**
 * What this thread has stored under keys of the site that are nearly the one asked for, the nearest
 * first: the same path, up to what people mix up.
 */
export async function nearKeys(engine: CacheEngine, { site, key }: Lookup): Promise<NearKeys> {
  const now = engine.now();
  const found = new Map<string, NearKeys['keys'][number]>();
  let looked = 0;
  let sampled = false;
  await engine.store.scan((object) => {
    if (looked >= MAX_LOOKED_AT) {
      sampled = true;
      return false;
    }
    looked++;
    const isOther = object.site === site.name && object.key !== key && !found.has(object.key);
    // Slices have the key of their object and more.
    if (!isOther || object.key.includes('\n') || engine.fence.verdict(object)?.mode === 'hard') {
      return true;
    }
    const differences = keyDifferences(key, object.key);
    if (differences === undefined || differences.length > MOST_DIFFERENCES) return true;
    const { freshForMs } = freshness(object.facts, site.cacheFor('', object.facts));
    found.set(object.key, {
      key: object.key,
      differences,
      leftMs: freshForMs - currentAgeMs(object, now),
    });
    return true;
  });
  const { objects } = engine.store.volume();
  return { keys: nearestOf([...found.values()]), looked, of: objects, sampled };
}

const nearestOf = (keys: NearKeys['keys']): NearKeys['keys'] =>
  keys.toSorted((a, b) => a.differences.length - b.differences.length).slice(0, MAX_NEAR);

/** What several threads have found. */
export function mergeNear(all: readonly NearKeys[]): NearKeys {
  const byKey = new Map(all.flatMap(({ keys }) => keys.map((one) => [one.key, one] as const)));
  const total = (of: (one: NearKeys) => number): number =>
    all.reduce((sum, one) => sum + of(one), 0);
  return {
    keys: nearestOf([...byKey.values()]),
    looked: total(({ looked }) => looked),
    of: total(({ of }) => of),
    sampled: all.some(({ sampled }) => sampled),
  };
}

/** What a difference is in, for people. */
export const partText = ({ part, name }: Pick<KeyDifference, 'part' | 'name'>): string =>
  name === null ? (part === 'query' ? 'the order of parameters' : `the ${part}`) : `\`${name}\``;

/** "3 stored keys differ only in `utm_source`" */
export function nearText({ keys }: NearKeys): string | undefined {
  const [nearest] = keys;
  if (nearest === undefined) return undefined;
  const what = nearest.differences.map(partText).join(' and ');
  const same = keys.filter((one) => one.differences.map(partText).join(' and ') === what).length;
  return same === 1
    ? `one stored key differs only in ${what}`
    : `${same} stored keys differ only in ${what}`;
}
