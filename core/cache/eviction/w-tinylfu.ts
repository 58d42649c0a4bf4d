import { FrequencySketch } from './frequency-sketch.ts';
import { type Entries, type EvictionPolicy, NONE } from './policy.ts';
import { emptyList, grown, type SlotList, SlotLists } from './slot-lists.ts';

const WINDOW_FRACTION = 0.01;
/** Of what is not the window. */
const PROTECTED_FRACTION = 0.8;

const WINDOW = 0;
const PROBATION = 1;
const PROTECTED = 2;

/**
 * Window-TinyLFU whose newcomers contend with as many bytes of victims as they need (Einziger et
 * al., "Lightweight Robust Size Aware Cache Management", 2022: aggregated victims).
 */
export class WTinyLfu implements EvictionPolicy {
  readonly #entries: Entries;
  readonly #lists: SlotLists;
  /** By `WINDOW`, `PROBATION`, `PROTECTED`; each with the latest use at its head. */
  readonly #segments: readonly SlotList[] = [emptyList(), emptyList(), emptyList()];
  readonly #segmentBytes = new Float64Array(3);
  readonly #sketch: FrequencySketch;
  #segmentOf: Uint8Array;

  constructor(entries: Entries) {
    this.#entries = entries;
    this.#lists = new SlotLists(entries.capacity);
    this.#sketch = new FrequencySketch(entries.capacity);
    this.#segmentOf = new Uint8Array(entries.capacity);
  }

  insert(slot: number): void {
    this.#sketch.add(this.#entries.hashes[slot] as number);
    this.#enter(WINDOW, slot);
  }

  touch(slot: number): void {
    this.#sketch.add(this.#entries.hashes[slot] as number);
    const segment = this.#segmentOf[slot] as number;
    if (segment !== PROBATION) this.#lists.toHead(this.#segment(segment), slot);
    else {
      this.#leave(slot);
      this.#enter(PROTECTED, slot);
      this.#demote();
    }
  }

  resize(slot: number, before: number): void {
    const segment = this.#segmentOf[slot] as number;
    this.#addBytes(segment, (this.#entries.bytes[slot] as number) - before);
  }

  remove(slot: number): void {
    this.#leave(slot);
  }

  victim(): number {
    const window = this.#segment(WINDOW);
    while (this.#bytes(WINDOW) > this.#windowBudgetBytes) {
      const candidate = window.tail;
      const victim = this.#contend(candidate);
      if (victim !== NONE) return victim;
      this.#leave(candidate);
      this.#enter(PROBATION, candidate);
    }
    for (const segment of [PROBATION, PROTECTED]) {
      const { tail } = this.#segment(segment);
      if (tail !== NONE) return tail;
    }
    return window.tail;
  }

  grow(capacity: number): void {
    this.#lists.grow(capacity);
    this.#sketch.grow(capacity);
    this.#segmentOf = grown(this.#segmentOf, new Uint8Array(capacity));
  }

  /** Who leaves that the candidate may enter the main part, itself where it is not worth it; `NONE`: there is room. */
  #contend(candidate: number): number {
    const { bytes, hashes } = this.#entries;
    const mainBytes = this.#bytes(PROBATION) + this.#bytes(PROTECTED);
    let neededBytes = mainBytes + (bytes[candidate] as number) - this.#mainBudgetBytes;
    if (neededBytes <= 0) return NONE;
    let credit = this.#sketch.count(hashes[candidate] as number);
    let inProtected = this.#segment(PROBATION).tail === NONE;
    const first = this.#segment(inProtected ? PROTECTED : PROBATION).tail;
    for (let slot = first; neededBytes > 0; slot = this.#lists.before(slot)) {
      if (slot === NONE && !inProtected) {
        inProtected = true;
        slot = this.#segment(PROTECTED).tail;
      }
      if (slot === NONE) return candidate;
      credit -= this.#sketch.count(hashes[slot] as number);
      if (credit <= 0) return candidate;
      neededBytes -= bytes[slot] as number;
    }
    return first;
  }

  /** Keeps the protected segment within its share. */
  #demote(): void {
    const most = this.#mainBudgetBytes * PROTECTED_FRACTION;
    while (this.#bytes(PROTECTED) > most && this.#segment(PROTECTED).length > 1) {
      const slot = this.#segment(PROTECTED).tail;
      this.#leave(slot);
      this.#enter(PROBATION, slot);
    }
  }

  #enter(segment: number, slot: number): void {
    this.#segmentOf[slot] = segment;
    this.#lists.pushHead(this.#segment(segment), slot);
    this.#addBytes(segment, this.#entries.bytes[slot] as number);
  }

  #leave(slot: number): void {
    const segment = this.#segmentOf[slot] as number;
    this.#lists.remove(this.#segment(segment), slot);
    this.#addBytes(segment, -(this.#entries.bytes[slot] as number));
  }

  get #windowBudgetBytes(): number {
    return this.#entries.budgetBytes * WINDOW_FRACTION;
  }
  get #mainBudgetBytes(): number {
    return this.#entries.budgetBytes - this.#windowBudgetBytes;
  }
  #segment(segment: number): SlotList {
    return this.#segments[segment] as SlotList;
  }
  #bytes(segment: number): number {
    return this.#segmentBytes[segment] as number;
  }
  #addBytes(segment: number, bytes: number): void {
    this.#segmentBytes[segment] = this.#bytes(segment) + bytes;
  }
}
