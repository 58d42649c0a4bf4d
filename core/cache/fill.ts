import type { Pace } from './engine.ts';
import type { PurgeMark } from './store.ts';
import type { FillingBody } from './filling-body.ts';
import type { Body } from './body.ts';
import type { Manifest, PartialObject, StoredObject } from './object.ts';
import type { StoredState } from './policy/decide.ts';
import type { Storability } from './policy/storability.ts';
import type { CanopyError } from '#core/errors.ts';
import type { Try } from '#core/tree/tries.ts';
import { type Fields, fieldValue } from '#core/http/fields.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';

/** A parent's answer whose content is on its way. */
export interface Arriving extends Omit<StoredState, 'softPurgedAt'> {
  readonly kind: 'arriving';
  readonly status: number;
  /** End-to-end fields, those between tiers removed. */
  readonly fields: Fields;
  /** Bytes announced by `Content-Length`. */
  readonly size: number | undefined;
  readonly storability: Storability;
  readonly body: FillingBody;
  /** Whom it took to get it. */
  readonly tries: readonly Try[] | undefined;
}

/** Of a parent whose own header section is not passed on. */
export interface ParentSaid {
  readonly status: number;
  /** Its `Cache-Status`, if it has one. */
  readonly cacheStatus: string | undefined;
  /** Whom it took to get it. */
  readonly tries: readonly Try[] | undefined;
}

export const parentSaid = ({ status, fields, tries }: UpstreamResponse): ParentSaid => ({
  status,
  cacheStatus: fieldValue(fields, 'cache-status'),
  tries,
});

/** What a fill has come to, as soon as that is known. */
export type FillResult =
  | Arriving
  /** A large object whose content comes, or is fetched, in slices. */
  | ({ readonly kind: 'sliced'; readonly object: Manifest } & ParentSaid)
  /** A part, stored as such. */
  | ({
      readonly kind: 'part';
      readonly object: PartialObject<Body>;
      /** As the parent sent them, for whoever asked for just that. */
      readonly fields: Fields;
    } & ParentSaid)
  /** A parent said that what is stored still holds. */
  | ({
      readonly kind: 'validated';
      readonly object: StoredObject;
      /** Whether it may be given to those who waited. */
      readonly shared: boolean;
    } & ParentSaid)
  /** Parents failed, and policy lets what is stored be served. */
  | {
      readonly kind: 'stale-if-error';
      readonly object: StoredObject;
      /** The failure: a status that a parent answered, or an error without answer. */
      readonly failure: number | CanopyError;
    };

/** A fetch of one object under way, shared by all who want it. */
export class Fill {
  readonly key: string;
  readonly site: string;
  /** Request values of the key's inputs; see `keySelector`. */
  readonly keySelector: string;
  /** The same, and those of the fields that the object was last known to vary by. */
  readonly selector: string;
  /** The request's own fields, for matching once the answer's `Vary` is known. */
  readonly requestFields: Fields;
  /** Its content has heeded every purge up to here. */
  asOf: number;
  /** The strongest purge that concerns it and came while it was under way. */
  purge: PurgeMark | undefined;
  /** Of what arrives, once its header section has come. */
  tags: readonly string[] | undefined;
  /** When what arrives is no longer fresh, once its header section has come; ms since the epoch. */
  staleAt: number | undefined;
  /** Settles when the header section has come, or every parent has failed. */
  readonly result: Promise<FillResult>;
  settled = false;
  /** Nobody waited for it when it began. */
  readonly behind: boolean;
  /** `Clock.monotonicMs`. */
  readonly startedAtMs: number;
  /** Those who wait for the result. */
  waiters = 0;
  /** At which its content is taken, while nobody but a push wants it. */
  pace: Pace | undefined;
  #ended: PromiseWithResolvers<void> | undefined;

  constructor(
    of: Pick<
      Fill,
      | 'key'
      | 'site'
      | 'keySelector'
      | 'selector'
      | 'requestFields'
      | 'asOf'
      | 'behind'
      | 'startedAtMs'
      | 'pace'
    >,
    run: (fill: Fill) => Promise<FillResult>,
  ) {
    this.key = of.key;
    this.site = of.site;
    this.keySelector = of.keySelector;
    this.selector = of.selector;
    this.requestFields = of.requestFields;
    this.asOf = of.asOf;
    this.behind = of.behind;
    this.startedAtMs = of.startedAtMs;
    this.pace = of.pace;
    this.result = run(this);
    const settle = (): void => {
      this.settled = true;
    };
    // Those who wait see the error; a refresh behind has nobody waiting.
    this.result.then(settle, settle);
  }

  /** Resolves when its content has come to its end, and is stored if it is to be. Asked for while under way. */
  get ended(): Promise<void> {
    this.#ended ??= Promise.withResolvers();
    return this.#ended.promise;
  }

  end(): void {
    this.#ended?.resolve();
  }
}

/** The fills under way, of which new requests may join one per key and selector. */
export class FillTable {
  readonly #underWay = new Set<Fill>();
  readonly #joinable = new Map<string, Fill>();
  readonly #refreshes = new Map<string, number>();

  get size(): number {
    return this.#underWay.size;
  }

  /** Requests that wait for a fill. */
  get waiters(): number {
    let waiters = 0;
    for (const fill of this.#underWay) waiters += fill.waiters;
    return waiters;
  }

  /** The least that any of them is known to have heeded. */
  get oldestAsOf(): number {
    let oldest = Infinity;
    for (const { asOf } of this.#underWay) oldest = Math.min(oldest, asOf);
    return oldest;
  }

  /** @param minAsOf what the content must have heeded, where this node itself is behind */
  find(key: string, selector: string, minAsOf: number): Fill | undefined {
    const fill = this.#joinable.get(idOf(key, selector));
    return fill !== undefined && fill.asOf >= minAsOf ? fill : undefined;
  }

  /** Fills of a site that began behind and are under way. */
  refreshes(site: string): number {
    return this.#refreshes.get(site) ?? 0;
  }

  add(fill: Fill): void {
    this.#underWay.add(fill);
    if (fill.behind) this.#refreshes.set(fill.site, this.refreshes(fill.site) + 1);
    this.#joinable.set(idOf(fill.key, fill.selector), fill);
  }

  /** Later requests start their own. */
  closeToOthers(fill: Fill): void {
    const id = idOf(fill.key, fill.selector);
    if (this.#joinable.get(id) === fill) this.#joinable.delete(id);
  }

  remove(fill: Fill): void {
    this.closeToOthers(fill);
    if (!this.#underWay.delete(fill)) return;
    fill.end();
    if (!fill.behind) return;
    const left = this.refreshes(fill.site) - 1;
    if (left === 0) this.#refreshes.delete(fill.site);
    else this.#refreshes.set(fill.site, left);
  }

  /** Resolves when the fills of a key that are under way now have ended. */
  async ended(key: string): Promise<void> {
    const fills = [...this.#underWay].filter((fill) => fill.key === key);
    await Promise.all(fills.map((fill) => fill.ended));
  }

  /** Marks the fills that a purge concerns: nobody joins them any more, and they store accordingly. */
  purge(concerns: (fill: Fill) => boolean, purge: PurgeMark): number {
    let count = 0;
    for (const fill of this.#underWay) {
      if (fill.asOf >= purge.sequence || !concerns(fill)) continue;
      this.mark(fill, purge);
      count++;
    }
    return count;
  }

  /** One fill turns out to be of what a purge concerns. */
  mark(fill: Fill, purge: PurgeMark): void {
    if (fill.purge?.mode !== 'hard') fill.purge = purge;
    this.closeToOthers(fill);
  }
}

const idOf = (key: string, selector: string): string =>
  selector === '' ? key : `${key}\n${selector}`;
