import { setImmediate } from 'node:timers/promises';
import { DEFAULT_MAX_VARIANTS } from '#core/contract/cache-settings.ts';
import { hash32 } from '#core/hash.ts';
import { BudgetedMap } from './eviction/budgeted-map.ts';
import { DEFAULT_POLICY, policyOf, type PolicyName } from './eviction/policies.ts';
import { sizeInMemory, type HeldObject } from './object.ts';
import { withinCap } from './policy/keeping.ts';
import { HeldWriters } from './held-writer.ts';
import type { MemoryShare } from './memory-share.ts';
import {
  addVolumes,
  type Draft,
  type Keeping,
  NO_VOLUME,
  type ObjectStore,
  type PurgeMark,
  type StoreStats,
  type StoreTally,
  type Volume,
  type Writer,
} from './store.ts';
import { countIn, type EvictionReason, Tally, type TallyRow } from './tally.ts';

const SWEEP_BATCH = 1000;
const NO_VARIANTS: readonly HeldObject[] = [];
/** The most of the budget that one key may take, so that nothing large empties the store. */
const KEY_FRACTION = 0.5;

/** What is held under one key, and where its site's uses are counted. */
interface Held {
  readonly variants: readonly HeldObject[];
  readonly row: TallyRow;
}

/** Objects in memory under a hard byte budget; a policy decides what leaves when it is full. */
export class MemoryStore implements ObjectStore {
  readonly #variants: BudgetedMap<string, Held>;
  readonly #maxKeyBytes: number;
  readonly #policy: PolicyName;
  readonly #budgetBytes: number;
  readonly #share: MemoryShare | undefined;
  readonly #writers = new HeldWriters();
  readonly fence = Infinity;
  readonly #bySite = new Map<string, Volume>();
  readonly #tally = new Tally();
  #lookups = 0;

  /**
   * @param budget bytes, headers, keys and bookkeeping included; or the part of it that a thread has,
   * which is renewed by `rebalance`
   */
  constructor(budget: number | MemoryShare, policy: PolicyName = DEFAULT_POLICY) {
    const share = typeof budget === 'number' ? undefined : budget;
    const budgetBytes = typeof budget === 'number' ? budget : budget.equalBytes;
    this.#policy = policy;
    this.#budgetBytes = budgetBytes;
    this.#share = share;
    this.#maxKeyBytes = budgetBytes * KEY_FRACTION;
    this.#variants = new BudgetedMap({
      budgetBytes: share?.bytes ?? budgetBytes,
      grow: share && ((neededBytes) => share.grow(neededBytes)),
      makePolicy: policyOf(policy),
      hashOf: hash32,
      onEvicted: ({ variants }) => {
        for (const object of variants) this.#left(object, 'capacity');
        this.#count(variants, -1);
      },
    });
  }

  lookup(key: string): readonly HeldObject[] {
    this.#lookups++;
    const held = this.#variants.get(key);
    if (held === undefined) return NO_VARIANTS;
    countIn(held.row, 'hits');
    countIn(held.row, 'hitBytes', (held.variants[0] as HeldObject).body.size);
    return held.variants;
  }

  /** What `lookup` would find, which is not a use. */
  peek(key: string): readonly HeldObject[] {
    return this.#peek(key);
  }

  put(object: HeldObject, keeping: Keeping | number = {}): boolean {
    const { maxVariants = DEFAULT_MAX_VARIANTS } =
      typeof keeping === 'number' ? { maxVariants: keeping } : keeping;
    if (!this.#mayHold(sizeInMemory(object))) {
      this.#tally.count(object.site, 'refused');
      return false;
    }
    const before = this.#peek(object.key);
    const others = before.filter(({ selector }) => selector !== object.selector);
    const variants = [...withinCap([object, ...others], maxVariants)];
    for (const other of before) {
      if (!others.includes(other)) this.#left(other, 'replaced');
      else if (!variants.includes(other)) this.#left(other, 'variants');
    }
    while (!this.#mayHold(volumeOf(variants).bytes)) {
      this.#left(variants.pop() as HeldObject, 'capacity');
    }
    this.#set(object.key, variants);
    this.#tally.count(object.site, 'stored');
    this.#tally.count(object.site, 'storedBytes', object.body.size);
    return true;
  }

  reserve({ key }: Draft, expectedBytes = 0, keeping: Keeping = {}): Writer | undefined {
    if (expectedBytes > this.#maxKeyBytes) return undefined;
    return this.#writers.open(key, (object) => this.put(object, keeping));
  }

  async settled(): Promise<void> {
    // There is nothing to be written down.
  }

  release(key: string): void {
    this.#keep(key, () => false, 'released');
  }

  drop({ key, selector }: Pick<HeldObject, 'key' | 'selector'>): void {
    this.#keep(key, (other) => other.selector !== selector, 'replaced');
  }

  delete(key: string, selector = ''): Volume {
    this.#writers.fence(key);
    return this.#keep(key, (object) => !object.selector.startsWith(selector), 'purged');
  }

  purge(key: string, purge: PurgeMark): Volume {
    this.#writers.fence(key);
    if (purge.mode === 'hard') {
      return this.#keep(key, (object) => object.asOf >= purge.sequence, 'purged');
    }
    const variants = this.#peek(key);
    const hit = variants.filter((object) => object.asOf < purge.sequence);
    if (hit.length === 0) return NO_VOLUME;
    this.#set(
      key,
      variants.map((object) =>
        object.asOf < purge.sequence ? { ...object, softPurgedAt: purge.at } : object,
      ),
    );
    return volumeOf(hit);
  }

  forgetFences(): void {
    const keys = [...this.#variants.keys()];
    for (const key of keys) {
      this.#writers.fence(key);
      this.#set(
        key,
        this.#peek(key).map((object) => ({ ...object, asOf: 0 })),
      );
    }
  }

  sweep(isPurged: (object: HeldObject) => boolean): Promise<void> {
    return this.#overKeys((key) => {
      this.#keep(key, (object) => !isPurged(object), 'purged');
      return true;
    });
  }

  scan(visit: (object: HeldObject) => boolean | void): Promise<void> {
    return this.#overKeys((key) => this.#peek(key).every((object) => visit(object) !== false));
  }

  /** @param visit returns whether there is more to be done */
  async #overKeys(visit: (key: string) => boolean): Promise<void> {
    // What is stored meanwhile comes after all that is there now.
    const count = this.#variants.size;
    let seen = 0;
    for (const key of this.#variants.keys()) {
      if (seen === count) return;
      // Nothing at once: whoever asks for a sweep is in a hurry.
      if (seen++ % SWEEP_BATCH === 0) await setImmediate();
      if (!visit(key)) return;
    }
  }

  volume(site?: string): Volume {
    if (site !== undefined) return this.#bySite.get(site) ?? NO_VOLUME;
    return [...this.#bySite.values()].reduce(addVolumes, NO_VOLUME);
  }

  stats(): readonly [StoreStats] {
    return [
      {
        tier: 'memory',
        policy: this.#policy,
        ...this.volume(),
        budgetBytes: this.#budgetBytes,
        lookups: this.#lookups,
        hits: this.#tally.total('hits'),
        hitBytes: this.#tally.total('hitBytes'),
        stored: this.#tally.total('stored'),
        storedBytes: this.#tally.total('storedBytes'),
        refused: this.#tally.total('refused'),
        evicted: this.#tally.evicted(),
        evictedBytes: this.#tally.total('evictedBytes'),
      },
    ];
  }

  tallies(): readonly [StoreTally] {
    return [{ tier: 'memory', tally: this.#tally, volume: (site) => this.volume(site) }];
  }

  /** Gives other threads what they need more; called at each tick, see `MemoryShare`. */
  rebalance(): void {
    this.#share?.tick(this.#variants);
  }

  /** Whether one key may take so much. */
  #mayHold(bytes: number): boolean {
    return bytes <= this.#maxKeyBytes && this.#variants.canHold(bytes);
  }

  #peek(key: string): readonly HeldObject[] {
    return this.#variants.peek(key)?.variants ?? NO_VARIANTS;
  }

  /** Lets go of the variants under a key that `isKept` does not name. @returns what left */
  #keep(key: string, isKept: (object: HeldObject) => boolean, reason: EvictionReason): Volume {
    const variants = this.#peek(key);
    const kept = variants.filter(isKept);
    if (kept.length === variants.length) return NO_VOLUME;
    const gone = variants.filter((object) => !kept.includes(object));
    for (const object of gone) this.#left(object, reason);
    this.#set(key, kept);
    return volumeOf(gone);
  }

  #set(key: string, variants: readonly HeldObject[]): void {
    this.#count(this.#peek(key), -1);
    const [first] = variants;
    if (first === undefined) this.#variants.delete(key);
    else {
      const row = this.#tally.row(first.site);
      this.#variants.set(key, { variants, row }, volumeOf(variants).bytes);
    }
    this.#count(variants, 1);
  }

  #left(object: HeldObject, reason: EvictionReason): void {
    this.#tally.count(object.site, reason);
    this.#tally.count(object.site, 'evictedBytes', sizeInMemory(object));
  }

  #count(variants: readonly HeldObject[], sign: 1 | -1): void {
    const site = variants[0]?.site;
    if (site === undefined) return;
    const { objects, bytes } = volumeOf(variants);
    const after = addVolumes(this.#bySite.get(site) ?? NO_VOLUME, {
      objects: sign * objects,
      bytes: sign * bytes,
    });
    if (after.objects === 0) this.#bySite.delete(site);
    else this.#bySite.set(site, after);
  }
}

const volumeOf = (variants: readonly HeldObject[]): Volume =>
  variants.reduce(
    (total, object) => addVolumes(total, { objects: 1, bytes: sizeInMemory(object) }),
    NO_VOLUME,
  );
