import { Body } from './body.ts';
import type { HeldObject } from './object.ts';
import type { Writer } from './store.ts';

/** Bodies on their way into a store that holds all in memory. */
export class HeldWriters {
  readonly #underWay = new Map<string, Set<HeldWriter>>();

  /** @param store called with what is complete, unless its key was purged meanwhile */
  open(key: string, store: (object: HeldObject) => boolean): Writer {
    const writers = this.#underWay.get(key) ?? new Set();
    const writer = new HeldWriter(store, () => {
      writers.delete(writer);
      if (writers.size === 0) this.#underWay.delete(key);
    });
    this.#underWay.set(key, writers.add(writer));
    return writer;
  }

  /** Whatever is under way under this key is not to be stored. */
  fence(key: string): void {
    for (const writer of this.#underWay.get(key) ?? []) writer.abandon();
  }
}

class HeldWriter implements Writer {
  readonly holdsAll = true;
  readonly #store: (object: HeldObject) => boolean;
  readonly #onEnd: () => void;
  readonly #chunks: Buffer[] = [];
  #isEnded = false;

  constructor(store: (object: HeldObject) => boolean, onEnd: () => void) {
    this.#store = store;
    this.#onEnd = onEnd;
  }

  write(chunk: Buffer): undefined {
    if (!this.#isEnded) this.#chunks.push(chunk);
  }

  commit(object: Omit<HeldObject, 'body'>): boolean {
    if (this.#isEnded) return false;
    const body = new Body([...this.#chunks]);
    this.abandon();
    return this.#store({ ...object, body });
  }

  abandon(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#chunks.length = 0;
    this.#onEnd();
  }
}
