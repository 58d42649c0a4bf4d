import { setImmediate } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { sizeInMemory, type StoredObject } from './object.ts';
import type { ObjectStore, PurgeMark, Volume } from './store.ts';

/** Variants kept under one key; beyond it the oldest goes. */
const MAX_VARIANTS = 32;
const SWEEP_BATCH = 1000;
const NOTHING: Volume = { objects: 0, bytes: 0 };

/** Objects in memory under a hard byte budget, least recently used out first. */
export class MemoryStore implements ObjectStore {
  readonly #variants: LRUCache<string, readonly StoredObject[]>;
  readonly #bySite = new Map<string, Volume>();

  /** @param budgetBytes headers, keys and bookkeeping included */
  constructor(budgetBytes: number) {
    this.#variants = new LRUCache({
      maxSize: budgetBytes,
      sizeCalculation: (variants) => volumeOf(variants).bytes,
      onInsert: (variants) => this.#count(variants, 1),
      dispose: (variants) => this.#count(variants, -1),
    });
  }

  lookup(key: string): readonly StoredObject[] {
    return this.#variants.get(key) ?? [];
  }

  put(object: StoredObject): boolean {
    const others = this.#peek(object.key).filter((other) => other.selector !== object.selector);
    const variants = [object, ...others].slice(0, MAX_VARIANTS);
    while (variants.length > 1 && volumeOf(variants).bytes > this.#variants.maxSize) variants.pop();
    if (volumeOf(variants).bytes > this.#variants.maxSize) return false;
    this.#set(object.key, variants);
    return true;
  }

  drop({ key, selector }: StoredObject): void {
    this.#set(
      key,
      this.#peek(key).filter((other) => other.selector !== selector),
    );
  }

  delete(key: string): Volume {
    const volume = volumeOf(this.#peek(key));
    this.#variants.delete(key);
    return volume;
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
      if (kept.length < variants.length) this.#set(key, kept);
    }
  }

  volume(site?: string): Volume {
    if (site !== undefined) return this.#bySite.get(site) ?? NOTHING;
    return [...this.#bySite.values()].reduce(sum, NOTHING);
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
