import { Body } from './body.ts';
import { type HeldObject, isHeld, type StoredObject } from './object.ts';
import type {
  Draft,
  Keeping,
  ObjectStore,
  PurgeMark,
  Store,
  StoreStats,
  StoreTally,
  Volume,
  Writer,
} from './store.ts';

/** Largest body that memory takes as it comes; a larger one goes to disk alone, until it is in demand. */
export const HELD_BYTES = 512 * 1024;
/** Largest body that is read into memory because it is in demand. Those in the index are at once. */
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
  readonly #tendsLasting: boolean;
  readonly #partial = new Set<string>();
  readonly #foundOnce = new Set<string>();

  /** @param tendsLasting of the threads that share the lasting store, one counts and sweeps it */
  constructor(memory: ObjectStore, lasting: Store, tendsLasting = true) {
    this.#memory = memory;
    this.#lasting = lasting;
    this.#tendsLasting = tendsLasting;
  }

  lookup(key: string): readonly StoredObject[] {
    const held = this.#memory.lookup(key);
    if (held.length > 0 && !this.#partial.has(key)) return held;
    const lasting = this.#lasting.lookup(key);
    const missing = lasting.filter(
      ({ selector }) => !held.some((other) => other.selector === selector),
    );
    this.#takeUp(key, missing);
    return held.length === 0 ? lasting : [...held, ...missing];
  }

  peek(key: string): readonly StoredObject[] {
    const held = this.#memory.peek(key);
    if (held.length > 0 && !this.#partial.has(key)) return held;
    const isHeldToo = ({ selector }: StoredObject): boolean =>
      held.some((other) => other.selector === selector);
    return [...held, ...this.#lasting.peek(key).filter((object) => !isHeldToo(object))];
  }

  /** @returns `true` at once where memory takes it; what comes later is of the lasting store */
  put(object: StoredObject, keeping?: Keeping | number): boolean | Promise<boolean> {
    const isMemoryOnly = typeof keeping === 'object' && keeping.memoryOnly === true;
    const isForMemory = isHeld(object) && (isMemoryOnly || object.body.size <= HELD_BYTES);
    if (isForMemory && this.#hold(object, keeping)) {
      if (!isMemoryOnly) void this.#lasting.put(object, keeping);
      return true;
    }
    this.#memory.drop(object);
    if (isMemoryOnly) return false;
    const isLasting = this.#lasting.put(object, keeping);
    if (isLasting === true || !isHeld(object)) return isLasting;
    return this.#holdUnless(isLasting, object, keeping);
  }

  #hold(object: HeldObject, keeping: Keeping | number | undefined): boolean {
    if (!this.#memory.put(object, keeping)) return false;
    remember(this.#partial, object.key);
    return true;
  }

  /** Where the lasting store does not take it, memory may. */
  async #holdUnless(
    isLasting: boolean | Promise<boolean>,
    { body, ...head }: HeldObject,
    keeping: Keeping | number | undefined,
  ): Promise<boolean> {
    // A purge that comes meanwhile ends it.
    const how = typeof keeping === 'number' ? { maxVariants: keeping } : keeping;
    const writer = this.#memory.reserve(head, body.size, how);
    if (await isLasting) {
      writer?.abandon();
      return true;
    }
    for (const chunk of body.chunks) void writer?.write(chunk);
    if (writer === undefined || !(await writer.commit(head))) return false;
    remember(this.#partial, head.key);
    return true;
  }

  /** What comes in pieces goes into the lasting store alone. */
  reserve(draft: Draft, expectedBytes?: number, keeping?: Keeping): Writer | undefined {
    const writer = this.#lasting.reserve(draft, expectedBytes, keeping);
    if (writer === undefined) return this.#memory.reserve(draft, expectedBytes, keeping);
    return {
      holdsAll: writer.holdsAll,
      write: (chunk) => writer.write(chunk),
      commit: async (object) => {
        const isStored = await writer.commit(object);
        if (isStored) {
          this.#memory.drop(object);
          // Memory may have others under the key, and lacks this one.
          remember(this.#partial, object.key);
        }
        return isStored;
      },
      abandon: () => writer.abandon(),
    };
  }

  release(key: string): void {
    this.#memory.release(key);
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

  /** Who does not sweep the lasting store cannot tell what is in there. */
  get fence(): number {
    return this.#tendsLasting ? this.#lasting.fence : 0;
  }

  forgetFences(): void {
    this.#memory.forgetFences();
    this.#lasting.forgetFences();
  }

  async sweep(isPurged: (object: StoredObject) => boolean): Promise<void> {
    if (this.#tendsLasting) await this.#lasting.sweep(isPurged);
    // Last, for what is found in the other meanwhile is taken up into memory.
    await this.#memory.sweep(isPurged);
  }

  /** Of what is in memory, nearly all is in the lasting store. */
  async scan(visit: (object: StoredObject) => boolean | void): Promise<void> {
    if (this.#tendsLasting) await this.#lasting.scan(visit);
  }

  /** What is in both counts once, as far as can be told: the greater of the two. */
  volume(site?: string): Volume {
    if (!this.#tendsLasting) return NOTHING;
    return greater(this.#memory.volume(site), this.#lasting.volume(site));
  }

  stats(): readonly StoreStats[] {
    return [...this.#memory.stats(), ...(this.#tendsLasting ? this.#lasting.stats() : [])];
  }

  tallies(): readonly StoreTally[] {
    return [...this.#memory.tallies(), ...this.#lasting.tallies()];
  }

  /** Takes into memory what it lacks of a key: what is small at once, larger bodies on second demand. */
  #takeUp(key: string, missing: readonly StoredObject[]): void {
    this.#partial.delete(key);
    const isAgain = this.#foundOnce.has(key);
    for (const object of missing) {
      if (isHeld(object)) {
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

  async #load(object: StoredObject): Promise<void> {
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

const NOTHING: Volume = { objects: 0, bytes: 0 };

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
