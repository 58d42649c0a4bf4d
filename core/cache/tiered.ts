import { Body } from './body.ts';
import type { StoredBody, StoredObject } from './object.ts';
import type {
  Draft,
  Keeping,
  ObjectStore,
  PurgeMark,
  Store,
  StoreStats,
  Volume,
  Writer,
} from './store.ts';

/** Largest body that is read into memory because it is in demand. Small ones are at once. */
const LOADED_BYTES = 1024 * 1024;
/** Keys remembered, of those that memory may lack variants of, and of those that were found once. */
const REMEMBERED = 10_000;

/**
 * Memory in front of a store that lasts: what is put goes into both as far as they take it, and
 * what only the lasting one has comes into memory when it is looked up.
 */
export class TieredStore implements Store {
  readonly #memory: ObjectStore;
  readonly #lasting: Store;
  readonly #partial = new Set<string>();
  readonly #foundOnce = new Set<string>();

  constructor(memory: ObjectStore, lasting: Store) {
    this.#memory = memory;
    this.#lasting = lasting;
  }

  lookup(key: string): readonly StoredObject<StoredBody>[] {
    const held = this.#memory.lookup(key);
    if (held.length > 0 && !this.#partial.has(key)) return held;
    const lasting = this.#lasting.lookup(key);
    const missing = lasting.filter(
      ({ selector }) => !held.some((other) => other.selector === selector),
    );
    this.#takeUp(key, missing);
    return held.length === 0 ? lasting : [...held, ...missing];
  }

  /** @returns `true` at once where memory takes it; what comes later is of the lasting store */
  put(object: StoredObject<StoredBody>, keeping?: Keeping | number): boolean | Promise<boolean> {
    const isHeld = hasHeldBody(object) && this.#memory.put(object, keeping);
    if (isHeld) remember(this.#partial, object.key);
    else this.#memory.drop(object);
    const isLasting = this.#lasting.put(object, keeping);
    return isHeld || isLasting;
  }

  /** What comes in pieces goes into the lasting store alone. */
  reserve(draft: Draft, expectedBytes?: number, keeping?: Keeping): Writer | undefined {
    const writer = this.#lasting.reserve(draft, expectedBytes, keeping);
    if (writer === undefined) return this.#memory.reserve(draft, expectedBytes, keeping);
    return {
      write: (chunk) => writer.write(chunk),
      commit: async (object) => {
        const isStored = await writer.commit(object);
        if (isStored) this.#memory.drop(object);
        return isStored;
      },
      abandon: () => writer.abandon(),
    };
  }

  drop(object: Pick<StoredObject, 'key' | 'selector'>): void {
    this.#memory.drop(object);
    this.#lasting.drop(object);
  }

  delete(key: string, selector?: string): Volume {
    return greater(this.#memory.delete(key, selector), this.#lasting.delete(key, selector));
  }

  purge(key: string, purge: PurgeMark): Volume {
    return greater(this.#memory.purge(key, purge), this.#lasting.purge(key, purge));
  }

  async settled(): Promise<void> {
    await this.#lasting.settled();
  }

  async sweep(isPurged: (object: StoredObject<StoredBody>) => boolean): Promise<void> {
    await this.#lasting.sweep(isPurged);
    // Last, for what is found in the other meanwhile is taken up into memory.
    await this.#memory.sweep(isPurged);
  }

  /** What is in both counts once, as far as can be told: the greater of the two. */
  volume(site?: string): Volume {
    return greater(this.#memory.volume(site), this.#lasting.volume(site));
  }

  stats(): readonly StoreStats[] {
    return [...this.#memory.stats(), ...this.#lasting.stats()];
  }

  /** Takes into memory what it lacks of a key: what is small at once, larger bodies on second demand. */
  #takeUp(key: string, missing: readonly StoredObject<StoredBody>[]): void {
    this.#partial.delete(key);
    const isAgain = this.#foundOnce.has(key);
    for (const object of missing) {
      if (hasHeldBody(object)) {
        this.#memory.put(object);
        continue;
      }
      remember(this.#partial, key);
      if (object.body.size > LOADED_BYTES) continue;
      if (!isAgain) remember(this.#foundOnce, key);
      else void this.#load(object);
    }
    if (isAgain) this.#foundOnce.delete(key);
  }

  async #load(object: StoredObject<StoredBody>): Promise<void> {
    const { body, ...head } = object;
    if (body instanceof Body) return;
    const writer = this.#memory.reserve(object, body.size);
    try {
      for await (const chunk of body.read()) void writer?.write(chunk);
    } catch {
      // Whoever is answered from it meets the same, and has it fetched again.
      writer?.abandon();
      return;
    }
    // In the meantime it may have been put anew.
    const isNewest = this.#lasting
      .lookup(head.key)
      .some(
        ({ selector, receivedAt }) => selector === head.selector && receivedAt === head.receivedAt,
      );
    const isLacking = this.#memory
      .lookup(head.key)
      .every(({ selector }) => selector !== head.selector);
    if (isNewest && isLacking) void writer?.commit(head);
    else writer?.abandon();
  }
}

const hasHeldBody = (object: StoredObject<StoredBody>): object is StoredObject =>
  object.body instanceof Body;

const greater = (a: Volume, b: Volume): Volume => (a.objects > b.objects ? a : b);

/** The oldest is forgotten, which costs at most that it is not found in memory. */
function remember(keys: Set<string>, key: string): void {
  keys.add(key);
  if (keys.size <= REMEMBERED) return;
  for (const oldest of keys) {
    keys.delete(oldest);
    return;
  }
}
