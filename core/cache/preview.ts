import { type Clock, delay } from '#core/clock.ts';
import type { PurgeTarget } from '#core/contract/purge.ts';
import type { Estimate } from '#core/contract/question.ts';
import type { CacheEngine } from './engine.ts';
import { sizeInMemory } from './object.ts';
import type { ServedSite } from './served-site.ts';
import { addVolumes, NO_VOLUME, type Volume } from './store.ts';
import { Targets } from './targets.ts';
import { Watch } from './watch.ts';

/** For how long requests are watched. */
const WATCH_MS = 2_000;
/** Objects that are looked at for a prefix or a tag; of more every second, third and so on. */
const MAX_LOOKED_AT = 100_000;

/** What a purge would hit of what this thread holds, and what is asked for of that now. */
export async function preview(
  { clock, engine }: { readonly clock: Clock; readonly engine: CacheEngine },
  targets: readonly PurgeTarget[],
  siteOf: (name: string) => ServedSite | undefined,
): Promise<Estimate> {
  const named = new Targets(targets, siteOf);
  const watch = new Watch(named);
  engine.watches.add(watch);
  try {
    const [volume] = await Promise.all([volumeOf(engine, targets, named), delay(clock, WATCH_MS)]);
    return { ...volume, watchedMs: WATCH_MS, asked: watch.asked };
  } finally {
    engine.watches.delete(watch);
  }
}

/** Whole sites are counted already; for URLs, which are exact, and for the rest the store is gone over. */
async function volumeOf(
  { store, fence }: CacheEngine,
  targets: readonly PurgeTarget[],
  named: Targets,
): Promise<Volume & { readonly sampled: boolean }> {
  const whole = targets.map((target) => {
    if (target.kind === 'everything') return store.volume();
    return target.kind === 'site' ? store.volume(target.site) : undefined;
  });
  if (whole.every((volume) => volume !== undefined)) {
    return { ...whole.reduce(addVolumes, NO_VOLUME), sampled: false };
  }
  const isExact = targets.every(({ kind }) => kind === 'urls');
  const step = isExact ? 1 : Math.max(1, Math.ceil(store.volume().objects / MAX_LOOKED_AT));
  let seen = 0;
  let found = NO_VOLUME;
  await store.scan((object) => {
    if (seen++ % step !== 0) return;
    const { site, key, facts } = object;
    if (!named.has({ site, key, tags: facts.tags })) return;
    if (fence.verdict(object)?.mode === 'hard') return;
    found = addVolumes(found, { objects: step, bytes: step * sizeInMemory(object) });
  });
  return { ...found, sampled: step > 1 };
}
