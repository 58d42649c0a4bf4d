import { Body } from '#core/cache/body.ts';
import type { PolicyName } from '#core/cache/eviction/policies.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import type { HeldObject } from '#core/cache/object.ts';
import { responseFacts } from '#core/cache/policy/response.ts';
import type { ObjectStore } from '#core/cache/store.ts';
import type { Requests } from './requests.ts';

/** A tier that is tried out. */
export interface Tier {
  readonly budgetBytes: number;
  readonly policy: PolicyName;
}

/** How much was answered from cache, of 1; the first request for anything never is. */
export interface HitRatios {
  readonly objects: number;
  readonly bytes: number;
}

type Replayed = Pick<Requests, 'ids' | 'keys' | 'bytes'>;

/** Called now and then with the number of requests since it was last called. */
export type OnProgress = (requests: number) => void;

const PROGRESS_EVERY = 1 << 15;

/**
 * Replays requests through stores that start empty, each behind the one before, as nodes run them
 * but for the content, of which there is only the size. Nothing expires.
 */
export function replay(
  { ids, keys, bytes }: Replayed,
  tiers: readonly Tier[],
  onProgress: OnProgress = () => undefined,
): HitRatios {
  const stores = tiers.map(({ budgetBytes, policy }) => new MemoryStore(budgetBytes, policy));
  let hits = 0;
  let hitBytes = 0;
  let totalBytes = 0;
  for (const [i, id] of ids.entries()) {
    const key = keys[id] ?? '';
    const size = bytes[id] ?? 0;
    totalBytes += size;
    if (request(stores, key, size)) {
      hits++;
      hitBytes += size;
    }
    if ((i + 1) % PROGRESS_EVERY === 0) onProgress(PROGRESS_EVERY);
  }
  onProgress(ids.length % PROGRESS_EVERY);
  return { objects: hits / ids.length, bytes: totalBytes === 0 ? 0 : hitBytes / totalBytes };
}

/** @returns whether a store had it; those before that one have it afterwards */
function request(stores: readonly ObjectStore[], key: string, size: number): boolean {
  const found = stores.findIndex((store) => store.lookup(key).length > 0);
  const behind = found === -1 ? stores.length : found;
  for (let i = 0; i < behind; i++) stores[i]?.put(countedObject(key, size));
  return found !== -1;
}

const NO_FACTS = responseFacts(200, [], 0);

const countedObject = (key: string, size: number): HeldObject => ({
  key,
  site: 'simulated',
  selector: '',
  fields: [],
  facts: NO_FACTS,
  body: new CountedBody(size),
  initialAgeMs: 0,
  receivedAt: 0,
  asOf: 0,
  softPurgedAt: undefined,
});

/** A body that is counted, but takes no memory. */
class CountedBody extends Body {
  override readonly size: number;

  constructor(size: number) {
    super([]);
    this.size = size;
  }
}
