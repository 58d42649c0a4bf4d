import { setImmediate } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { DEFAULT_MAX_VARIANTS } from '#core/contract/site.ts';
import { sizeInMemory, type StoredObject } from './object.ts';
import type { ObjectStore, PurgeMark, Volume } from './store.ts';

const SWEEP_BATCH = 1000;
const NOTHING: Volume = { objects: 0, bytes: 0 };

/** Objects in memory under a hard byte budget, least recently used out first. */
export class MemoryStore implements ObjectStore {
  readonly #variants: LRUCache<string, readonly StoredObject[]>;
  readonly #bySite = new Map<string, Volume>();

  readonly #onVariantDropped: () => void;

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
      dispose: (variants) => this.#count(variants, -1),
    });
  }

  lookup(key: string): readonly StoredObject[] {
    return this.#variants.get(key) ?? [];
  }

  put(object: StoredObject, maxVariants = DEFAULT_MAX_VARIANTS): boolean {
    const others = this.#peek(object.key).filter((other) => other.selector !== object.selector);
    const all = [object, ...others];
    const variants = all.slice(0, maxVariants);
    for (let i = variants.length; i < all.length; i++) this.#onVariantDropped();
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

  delete(key: string, selector = ''): Volume {
    const variants = this.#peek(key);
    const dropped = variants.filter((object) => object.selector.startsWith(selector));
    if (dropped.length === 0) return NOTHING;
    this.#set(
      key,
      variants.filter((object) => !dropped.includes(object)),
    );
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
