import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '#core/clock.ts';
import type { Lookup } from './engine.ts';
import type { Storability } from './policy/storability.ts';
import { unitedVary, variantSelector } from './policy/vary.ts';

/** How long after an uncacheable answer every request for the variant goes to a parent by itself. */
const PASS_MS = 10_000;
/** Variants asked for less often than this are forgotten: then the first request is a fill as any other. */
const REMEMBERED_MS = 60_000;
const MAX_KEYS = 10_000;
/** Of all keys together; beyond it the variant least recently asked for is forgotten. */
const MAX_VARIANTS = 20_000;
/** By more fields than this no answer is told apart. */
const MAX_FIELDS = 32;

/** What variants are marked, and told apart, by. */
type Variant = Pick<Lookup, 'key' | 'keySelector'> & {
  readonly request: Pick<Lookup['request'], 'fields'>;
};

/** By what the uncacheable answers of one key have varied; marks made by other fields do not count. */
interface Varying {
  readonly vary: readonly string[];
  untilMs: number;
}

interface Mark {
  readonly varying: Varying;
  readonly untilMs: number;
  /** Left out: of an answer that was thought storable when it began. */
  readonly why: Storability | undefined;
  /** When one request is to probe with a fill again. */
  probeAtMs: number;
}

/**
 * Variants whose answers were lately found uncacheable, so that nobody waits in vain for another's.
 * Every 10 s one request probes with a fill, while all others still pass: an answer that has become
 * cacheable is stored, and one that has not holds up nobody.
 */
export class HitForMiss {
  readonly #clock: Clock;
  readonly #varying = new LRUCache<string, Varying>({ max: MAX_KEYS });
  readonly #marks = new LRUCache<string, Mark>({ max: MAX_VARIANTS });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param vary what the answer varies by, as far as it says, and what others of the key do
   * @param why it was not stored
   */
  set(variant: Variant, vary: readonly string[], why?: Storability): void {
    const now = this.#clock.monotonicMs();
    const untilMs = now + REMEMBERED_MS;
    const known = this.#varyingOf(variant.key);
    const united = unitedVary(known?.vary ?? [], vary).slice(0, MAX_FIELDS);
    const varying = known?.vary.length === united.length ? known : { vary: united, untilMs };
    varying.untilMs = untilMs;
    this.#varying.set(variant.key, varying);
    this.#marks.set(idOf(variant, varying), {
      varying,
      untilMs,
      why,
      probeAtMs: now + PASS_MS,
    });
  }

  has(variant: Variant): boolean {
    return this.#markOf(variant) !== undefined;
  }

  /** Whether a request that would pass is the one to probe instead; the next is due 10 s later. */
  probe(variant: Variant): boolean {
    if (!this.isProbeDue(variant)) return false;
    const mark = this.#markOf(variant);
    if (mark !== undefined) mark.probeAtMs = this.#clock.monotonicMs() + PASS_MS;
    return true;
  }

  /** Whether `probe` would say so. */
  isProbeDue(variant: Variant): boolean {
    const mark = this.#markOf(variant);
    return mark !== undefined && this.#clock.monotonicMs() >= mark.probeAtMs;
  }

  /** Why the answer that has marked the variant was not stored. */
  whyOf(variant: Variant): Storability | undefined {
    return this.#markOf(variant)?.why;
  }

  /** Lower-case names of the fields by which uncacheable answers of a key have varied of late. */
  varyOf(key: string): readonly string[] {
    return this.#varyingOf(key)?.vary ?? [];
  }

  clear(variant: Variant): void {
    const varying = this.#varyingOf(variant.key);
    if (varying !== undefined) this.#marks.delete(idOf(variant, varying));
  }

  /** Forgets every variant under a key. */
  clearKey(key: string): void {
    this.#varying.delete(key);
  }

  clearAll(): void {
    this.#varying.clear();
    this.#marks.clear();
  }

  #varyingOf(key: string): Varying | undefined {
    const varying = this.#varying.get(key);
    return varying !== undefined && this.#clock.monotonicMs() < varying.untilMs
      ? varying
      : undefined;
  }

  #markOf(variant: Variant): Mark | undefined {
    const varying = this.#varyingOf(variant.key);
    if (varying === undefined) return undefined;
    const mark = this.#marks.get(idOf(variant, varying));
    if (mark?.varying !== varying || this.#clock.monotonicMs() >= mark.untilMs) return undefined;
    return mark;
  }
}

/** A digest, for clients choose how long it would be, and must not choose whose it equals. */
const idOf = ({ key, keySelector, request }: Variant, { vary }: Varying): string =>
  hash('sha256', `${key}\n${keySelector}${variantSelector(vary, request.fields)}`, 'base64');
