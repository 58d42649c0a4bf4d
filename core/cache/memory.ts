import { setImmediate } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { DEFAULT_MAX_VARIANTS } from '#core/contract/site.ts';
import { sizeInMemory, type StoredObject } from './object.ts';
import { HeldWriters } from './held-writer.ts';
import type {
  Draft,
  EvictionReason,
  Keeping,
  ObjectStore,
  PurgeMark,
  StoreStats,
  Volume,
  Writer,
} from './store.ts';

const SWEEP_BATCH = 1000;
const NOTHING: Volume = { objects: 0, bytes: 0 };

/** Objects in memory under a hard byte budget, least recently used out first. */
export class MemoryStore implements ObjectStore {
  readonly #variants: LRUCache<string, readonly StoredObject[]>;
  readonly #bySite = new Map<string, Volume>();

  readonly #onVariantDropped: () => void;
  readonly #writers = new HeldWriters();
  readonly #evicted: Record<EvictionReason, number> = {
    capacity: 0,
    expired: 0,
    purged: 0,
    replaced: 0,
    variants: 0,
    damaged: 0,
  };
  readonly #counts = {
    lookups: 0,
    hits: 0,
    hitBytes: 0,
    stored: 0,
    storedBytes: 0,
    refused: 0,
    evictedBytes: 0,
  };

  /**
   * @param budgetBytes headers, keys and bookkeeping included
   * @param onVariantDropped called for each variant that goes because its key had as many as it may
   */
  constructor(budgetBytes: number, onVariantDropped: () => void = () => undefined) {
    this.#onVariantDropped = onVariantDropped;
    this.#variants = new LRUCache({
      maxSize: budgetBytes,
      sizeCalculation: (variants) => volumeOf(variants).bytes,
      onInsert: (variants) => this.#count(variants, 1),
      dispose: (variants, _, how) => {
        this.#count(variants, -1);
        if (how === 'evict') for (const object of variants) this.#left(object, 'capacity');
      },
    });
  }

  lookup(key: string): readonly StoredObject[] {
    this.#counts.lookups++;
    const variants = this.#variants.get(key) ?? [];
    const [latest] = variants;
    if (latest !== undefined) {
      this.#counts.hits++;
      this.#counts.hitBytes += latest.body.size;
    }
    return variants;
  }

  put(object: StoredObject, keeping: Keeping | number = {}): boolean {
    const { maxVariants = DEFAULT_MAX_VARIANTS } =
      typeof keeping === 'number' ? { maxVariants: keeping } : keeping;
    const others = this.#peek(object.key).filter((other) => other.selector !== object.selector);
    const all = [object, ...others];
    const variants = all.slice(0, maxVariants);
    for (let i = variants.length; i < all.length; i++) this.#onVariantDropped();
    while (variants.length > 1 && volumeOf(variants).bytes > this.#variants.maxSize) variants.pop();
    if (volumeOf(variants).bytes > this.#variants.maxSize) {
      this.#counts.refused++;
      return false;
    }
    for (const old of this.#peek(object.key)) {
      if (old.selector === object.selector) this.#left(old, 'replaced');
      else if (!variants.includes(old)) this.#left(old, 'variants');
    }
    this.#set(object.key, variants);
    this.#counts.stored++;
    this.#counts.storedBytes += object.body.size;
    return true;
  }

  reserve({ key }: Draft, expectedBytes = 0, keeping: Keeping = {}): Writer | undefined {
    if (expectedBytes > this.#variants.maxSize) return undefined;
    return this.#writers.open(key, (object) => this.put(object, keeping));
  }

  async settled(): Promise<void> {
    // There is nothing to be written down.
  }

  drop({ key, selector }: Pick<StoredObject, 'key' | 'selector'>): void {
    this.#set(
      key,
      this.#peek(key).filter((other) => other.selector !== selector),
    );
  }

  delete(key: string, selector = ''): Volume {
    this.#writers.fence(key);
    const variants = this.#peek(key);
    const dropped = variants.filter((object) => object.selector.startsWith(selector));
    if (dropped.length === 0) return NOTHING;
    for (const object of dropped) this.#left(object, 'purged');
    this.#set(
      key,
      variants.filter((object) => !dropped.includes(object)),
    );
    return volumeOf(dropped);
  }

  purge(key: string, purge: PurgeMark): Volume {
    this.#writers.fence(key);
    const variants = this.#peek(key);
    const hit = variants.filter((object) => object.asOf < purge.sequence);
    if (hit.length === 0) return NOTHING;
    if (purge.mode === 'hard') for (const object of hit) this.#left(object, 'purged');
    const kept =
      purge.mode === 'hard'
        ? variants.filter((object) => object.asOf >= purge.sequence)
        : variants.map((object) =>
            object.asOf < purge.sequence ? { ...object, softPurgedAt: purge.at } : object,
          );
    this.#set(key, kept);
    return volumeOf(hit);
  }

  async sweep(isPurged: (object: StoredObject) => boolean): Promise<void> {
    let seen = 0;
    const keys = [...this.#variants.keys()];
    for (const key of keys) {
      if (++seen % SWEEP_BATCH === 0) await setImmediate();
      const variants = this.#peek(key);
      const kept = variants.filter((object) => !isPurged(object));
      if (kept.length === variants.length) continue;
      for (const object of variants) if (!kept.includes(object)) this.#left(object, 'purged');
      this.#set(key, kept);
    }
  }

  volume(site?: string): Volume {
    if (site !== undefined) return this.#bySite.get(site) ?? NOTHING;
    return [...this.#bySite.values()].reduce(sum, NOTHING);
  }

  stats(): readonly StoreStats[] {
    return [
      {
        tier: 'memory',
        policy: 'lru',
        ...this.volume(),
        budgetBytes: this.#variants.maxSize,
        ...this.#counts,
        evicted: { ...this.#evicted },
      },
    ];
  }

  #left(object: StoredObject, reason: EvictionReason): void {
    this.#evicted[reason]++;
    this.#counts.evictedBytes += sizeInMemory(object);
  }

  #peek(key: string): readonly StoredObject[] {
    return this.#variants.peek(key) ?? [];
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

const sum = (a: Volume, b: Volume): Volume => ({
  objects: a.objects + b.objects,
  bytes: a.bytes + b.bytes,
});

const volumeOf = (variants: readonly StoredObject[]): Volume =>
  variants.reduce(
    (total, object) => sum(total, { objects: 1, bytes: sizeInMemory(object) }),
    NOTHING,
  );
