import type { KeyDifference, NearKeys } from '#core/contract/explain.ts';
import type { CacheEngine, Lookup } from '#core/cache/engine.ts';
import { currentAgeMs } from '#core/cache/policy/decide.ts';
import { freshness } from '#core/cache/policy/freshness.ts';
import { keyDifferences } from './differences.ts';
import { maskedKey } from './masked.ts';

/** Objects that are looked at, and for how long; there may be many millions. */
const MAX_LOOKED_AT = 100_000;
const MAX_LOOKING_MS = 500;
/** Near ones that are told of. */
const MAX_NEAR = 5;
/** What differs in more is another thing. */
const MOST_DIFFERENCES = 4;
/** Ways to differ that are counted. */
const MAX_COUNTED = 1000;

type NearKey = NearKeys['keys'][number];

/**
 * What this thread has stored under keys of the site that are nearly the one asked for: the same path,
 * up to what people mix up.
 */
export async function nearKeys(engine: CacheEngine, { site, key }: Lookup): Promise<NearKeys> {
  const now = engine.now();
  const counts = new Map<string, number>();
  let keys: readonly NearKey[] = [];
  let [looked, sampled, last] = [0, false, key];
  const untilMs = engine.clock.monotonicMs() + MAX_LOOKING_MS;
  await engine.store.scan((object) => {
    if (looked >= MAX_LOOKED_AT || engine.clock.monotonicMs() > untilMs) {
      sampled = true;
      return false;
    }
    looked++;
    // Variants of one key come together; slices have the key of their object and more.
    const isOther = object.site === site.name && object.key !== last && object.key !== key;
    if (!isOther || object.key.includes('\n')) return true;
    last = object.key;
    const differences = keyDifferences(key, object.key);
    if (differences === undefined || differences.length > MOST_DIFFERENCES) return true;
    if (engine.fence.verdict(object)?.mode === 'hard') return true;
    const settings = site.cacheFor(keyTarget(object.key), object.facts);
    const leftMs = freshness(object.facts, settings).freshForMs - currentAgeMs(object, now);
    keys = nearestOf([...keys, { key: maskedKey(object.key), differences, leftMs }]);
    const what = whatOf(differences);
    const count = counts.get(what);
    if (count !== undefined || counts.size < MAX_COUNTED) counts.set(what, (count ?? 0) + 1);
    return true;
  });
  const [nearest] = keys;
  const alike = nearest === undefined ? 0 : (counts.get(whatOf(nearest.differences)) ?? 1);
  return { keys: [...keys], alike, looked, of: engine.store.volume().objects, sampled };
}

/** Path and query of a primary key. */
const keyTarget = (key: string): string => key.replace(/^\S* (?:https?:\/\/[^/?]*)?/, '');

const nearestOf = (keys: readonly NearKey[]): readonly NearKey[] =>
  keys.toSorted((a, b) => a.differences.length - b.differences.length).slice(0, MAX_NEAR);

/** What several threads have found. */
export function mergeNear(all: readonly NearKeys[]): NearKeys {
  const byKey = new Map(all.flatMap(({ keys }) => keys.map((one) => [one.key, one] as const)));
  const total = (of: (one: NearKeys) => number): number =>
    all.reduce((sum, one) => sum + of(one), 0);
  const keys = nearestOf([...byKey.values()]);
  return {
    keys: [...keys],
    alike: total((one) => (whatFirst(one.keys) === whatFirst(keys) ? one.alike : 0)),
    looked: total(({ looked }) => looked),
    of: total(({ of }) => of),
    sampled: all.some(({ sampled }) => sampled),
  };
}

const whatFirst = (keys: readonly NearKey[]): string => whatOf(keys[0]?.differences ?? []);

const whatOf = (differences: readonly KeyDifference[]): string =>
  differences.map(partText).join(' and ');

/** What a difference is in, for people. */
export const partText = ({ part, name }: Pick<KeyDifference, 'part' | 'name'>): string =>
  name === null ? (part === 'query' ? 'the order of parameters' : `the ${part}`) : `\`${name}\``;

/** "3 stored keys differ only in `utm_source`" */
export function nearText({ keys, alike, sampled }: NearKeys): string | undefined {
  const [nearest] = keys;
  if (nearest === undefined) return undefined;
  const what = whatOf(nearest.differences);
  const least = sampled ? 'at least ' : '';
  return alike === 1
    ? `${least}one stored key differs only in ${what}`
    : `${least}${alike} stored keys differ only in ${what}`;
}
