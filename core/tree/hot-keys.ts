import { hash32 } from '#core/hash.ts';

/** Requests upward for one object, per thread and second, from which on two parents share it. */
const HOT_PER_SECOND = 100;
const SLOTS = 4096;

/**
 * Which objects are asked of parents so often that one parent should not have to answer them alone.
 * Counts by hash in constant room: an object that shares its slot with a hot one may be taken for
 * hot, which costs a second copy of it in the tier above and nothing else.
 */
export class HotKeys {
  #counts = new Uint16Array(SLOTS);
  #before = new Uint16Array(SLOTS);
  #second = -Infinity;

  /** Counts one request for `key`; whether it is hot. @param now `Clock.monotonicMs` */
  note(key: string, now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) this.#turn(second);
    const slot = hash32(key) % SLOTS;
    const count = Math.min((this.#counts[slot] ?? 0) + 1, 0xffff);
    this.#counts[slot] = count;
    return count > HOT_PER_SECOND || (this.#before[slot] ?? 0) > HOT_PER_SECOND;
  }

  /** Whether one request more for `key` would find it hot. Counts none. */
  isHot(key: string, now: number): boolean {
    const since = Math.floor(now / 1000) - this.#second;
    const slot = hash32(key) % SLOTS;
    const [last, before] = [this.#counts[slot] ?? 0, this.#before[slot] ?? 0];
    if (since > 1) return false;
    return since === 1 ? last > HOT_PER_SECOND : Math.max(last + 1, before) > HOT_PER_SECOND;
  }

  #turn(second: number): void {
    [this.#before, this.#counts] = [this.#counts, this.#before];
    this.#counts.fill(0);
    if (second !== this.#second + 1) this.#before.fill(0);
    this.#second = second;
  }
}
