import { setImmediate } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { DEFAULT_MAX_VARIANTS } from '#core/contract/site.ts';
import { sizeInMemory, type StoredObject } from './object.ts';
import type { EvictionReason, ObjectStore, PurgeMark, StoreStats, Volume } from './store.ts';

const SWEEP_BATCH = 1000;
const NOTHING: Volume = { objects: 0, bytes: 0 };

/** Objects in memory under a hard byte budget, least recently used out first. */
export class MemoryStore implements ObjectStore {
  readonly #variants: LRUCache<string, readonly StoredObject[]>;
  readonly #bySite = new Map<string, Volume>();
  readonly #done = new Done();

  /** @param budgetBytes headers, keys and bookkeeping included */
  constructor(budgetBytes: number) {
    this.#variants = new LRUCache({
      maxSize: budgetBytes,
      sizeCalculation: (variants) => volumeOf(variants).bytes,
      onInsert: (variants) => this.#count(variants, 1),
      dispose: (variants, _key, reason) => {
        this.#count(variants, -1);
        if (reason === 'evict') this.#done.evict('capacity', variants);
      },
    });
  }

  lookup(key: string): readonly StoredObject[] {
    const variants = this.#variants.get(key);
    this.#done.lookups++;
    if (variants === undefined) return [];
    this.#done.hits++;
    this.#done.hitBytes += variants[0]?.body.size ?? 0;
    return variants;
  }

  put(object: StoredObject, maxVariants = DEFAULT_MAX_VARIANTS): boolean {
    const before = this.#peek(object.key);
    const isSame = (other: StoredObject): boolean => other.selector === object.selector;
    const all = [object, ...before.filter((other) => !isSame(other))];
    const allowed = all.slice(0, maxVariants);
    const variants = [...allowed];
    while (variants.length > 1 && volumeOf(variants).bytes > this.#variants.maxSize) variants.pop();
    if (volumeOf(variants).bytes > this.#variants.maxSize) {
      this.#done.refused++;
      return false;
    }
    this.#done.stored++;
    this.#done.storedBytes += sizeInMemory(object);
    this.#done.evict('replaced', before.filter(isSame));
    this.#done.evict('variants', all.slice(maxVariants));
    this.#done.evict('capacity', allowed.slice(variants.length));
    this.#set(object.key, variants);
    return true;
  }

  drop({ key, selector }: StoredObject): void {
    const kept = this.#peek(key).filter((other) => other.selector !== selector);
    this.#keep(key, kept, 'replaced');
  }

  delete(key: string, selector = ''): Volume {
    const variants = this.#peek(key);
    const dropped = variants.filter((object) => object.selector.startsWith(selector));
    if (dropped.length === 0) return NOTHING;
    const kept = variants.filter((object) => !dropped.includes(object));
    this.#keep(key, kept, 'purged');
    return volumeOf(dropped);
  }

  purge(key: string, purge: PurgeMark): Volume {
    const variants = this.#peek(key);
    const hit = variants.filter((object) => object.asOf < purge.sequence);
    if (hit.length === 0) return NOTHING;
    const kept =
      purge.mode === 'hard'
        ? variants.filter((object) => object.asOf >= purge.sequence)
        : variants.map((object) =>
            object.asOf < purge.sequence ? { ...object, softPurgedAt: purge.at } : object,
          );
    this.#keep(key, kept, 'purged');
    return volumeOf(hit);
  }

  async sweep(isPurged: (object: StoredObject) => boolean): Promise<void> {
    let seen = 0;
    const keys = [...this.#variants.keys()];
    for (const key of keys) {
      if (++seen % SWEEP_BATCH === 0) await setImmediate();
      const variants = this.#peek(key);
      const kept = variants.filter((object) => !isPurged(object));
      if (kept.length < variants.length) this.#keep(key, kept, 'purged');
    }
  }

  stats(): readonly StoreStats[] {
    const { evicted, ...done } = this.#done;
    const budgetBytes = this.#variants.maxSize;
    return [
      {
        tier: 'memory',
        policy: 'lru',
        ...this.volume(),
        budgetBytes,
        ...done,
        evicted: { ...evicted },
      },
    ];
  }

  volume(site?: string): Volume {
    if (site !== undefined) return this.#bySite.get(site) ?? NOTHING;
    return [...this.#bySite.values()].reduce(sum, NOTHING);
  }

  #peek(key: string): readonly StoredObject[] {
    return this.#variants.peek(key) ?? [];
  }

  /** Keeps `kept`, of what is stored under a key, and counts the rest. */
  #keep(key: string, kept: readonly StoredObject[], reason: EvictionReason): void {
    const selectors = new Set(kept.map(({ selector }) => selector));
    this.#done.evict(
      reason,
      this.#peek(key).filter(({ selector }) => !selectors.has(selector)),
    );
    this.#set(key, kept);
  }

  #set(key: string, variants: readonly StoredObject[]): void {
    if (variants.length === 0) this.#variants.delete(key);
    else this.#variants.set(key, variants);
  }

  #count(variants: readonly StoredObject[], sign: 1 | -1): void {
    const site = variants[0]?.site;
    if (site === undefined) return;
    const { objects, bytes } = volumeOf(variants);
    const after = sum(this.#bySite.get(site) ?? NOTHING, {
      objects: sign * objects,
      bytes: sign * bytes,
    });
    if (after.objects === 0) this.#bySite.delete(site);
    else this.#bySite.set(site, after);
  }
}

/** What a store has done since it was opened. */
class Done {
  lookups = 0;
  hits = 0;
  hitBytes = 0;
  stored = 0;
  storedBytes = 0;
  refused = 0;
  evictedBytes = 0;
  readonly evicted: Record<EvictionReason, number> = {
    capacity: 0,
    expired: 0,
    purged: 0,
    replaced: 0,
    variants: 0,
    damaged: 0,
  };

  evict(reason: EvictionReason, objects: readonly StoredObject[]): void {
    this.evicted[reason] += objects.length;
    this.evictedBytes += volumeOf(objects).bytes;
  }
}

const sum = (a: Volume, b: Volume): Volume => ({
  objects: a.objects + b.objects,
  bytes: a.bytes + b.bytes,
});

const volumeOf = (variants: readonly StoredObject[]): Volume =>
  variants.reduce(
    (total, object) => sum(total, { objects: 1, bytes: sizeInMemory(object) }),
    NOTHING,
  );
