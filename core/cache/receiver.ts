import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseDeltaSeconds } from '#core/http/directives.ts';
import { fieldValue, withoutFields } from '#core/http/fields.ts';
import { contentLength } from '#core/http/length.ts';
import type { FillCounters } from '#core/telemetry/fill-counters.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { isTierField, TIER_FIELDS } from '#core/tree/tier-fields.ts';
import type { Admission } from './admission.ts';
import { sharedFields } from './answer.ts';
import type { Lookup } from './engine.ts';
import { type Arriving, type Fill, type FillResult, type FillTable, parentSaid } from './fill.ts';
import { type FillBudget, Reservation } from './fill-budget.ts';
import { FillingBody } from './filling-body.ts';
import type { HitForMiss } from './hit-for-miss.ts';
import { keptFields } from './kept-fields.ts';
import { isPartial, type Manifest, partOf, type StoredObject, suitsRequest } from './object.ts';
import { restOf } from './policy/partial.ts';
import { freshness, initialAgeMs } from './policy/freshness.ts';
import { type ResponseFacts, responseFacts } from './policy/response.ts';
import { contentRange, fieldsOfWhole, isSliceable, type Probe } from './policy/slicing.ts';
import type { Storability } from './policy/storability.ts';
import { freshenedFields } from './policy/update.ts';
import { variantSelector } from './policy/vary.ts';
import type { SpillRoom } from './spill-room.ts';
import { newManifest } from './slices/manifest.ts';
import type { Slices } from './slices/slices.ts';
import type { ObjectStore } from './store.ts';
import { storedResponse } from './stored-response.ts';

export interface ReceiverOptions {
  readonly store: ObjectStore;
  readonly fills: FillTable;
  readonly admission: Admission;
  readonly slices: Slices;
  readonly hitForMiss: HitForMiss;
  readonly counters: FillCounters;
  readonly budget: FillBudget;
  readonly spillRoom: SpillRoom | undefined;
}

/** Makes of what parents answer to a fill what its waiters read, and what is stored. */
export class Receiver {
  readonly #options: ReceiverOptions;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** What a parent's answer to a probe tells; `undefined`: nothing that could be kept in slices. */
  part(
    fill: Fill,
    lookup: Lookup,
    response: UpstreamResponse,
    probe: Probe,
  ): FillResult | undefined {
    const range = response.status === 206 ? contentRange(response.fields) : undefined;
    if (range === undefined) return undefined;
    const fields = fieldsOfWhole(withoutFields(response.fields, isTierField), range.size);
    const facts = responseFacts(200, fields, response.receivedAt);
    const cache = lookup.site.cacheFor(lookup.request.target, facts);
    const { admission } = this.#options;
    if (!isSliceable(facts, range.size, cache)) return undefined;
    if (admission.storability(lookup, facts, undefined) !== 'storable') return undefined;
    this.vouch(fill, response);
    admission.learn(fill, facts);
    const manifest = newManifest(fill, fields, facts, response, range.size, cache.sliceBytes);
    const result = this.#sliced(fill, lookup, manifest, response);
    if (range.start === (probe.index ?? NaN) * cache.sliceBytes) {
      this.#options.slices.fetch(manifest, range.start / cache.sliceBytes, lookup, response);
    } else response.discard();
    return result;
  }

  /**
   * A whole answer.
   * @param hasRanges whether the parent may know ranges, as far as it has shown
   */
  whole(fill: Fill, lookup: Lookup, response: UpstreamResponse, hasRanges: boolean): FillResult {
    const { fills, admission, hitForMiss, counters, spillRoom } = this.#options;
    this.vouch(fill, response);
    const { status, requestedAt, receivedAt } = response;
    const fields = withoutFields(response.fields, isTierField);
    const facts = responseFacts(status, fields, receivedAt);
    const size = contentLength(fields);
    const cache = lookup.site.cacheFor(lookup.request.target, facts);
    const sliceable = isSliceable(facts, size, cache);
    const verdict = admission.storability(lookup, facts, sliceable ? undefined : size);
    admission.learn(fill, facts);
    const storable = verdict === 'storable';
    if (storable) hitForMiss.clear(lookup);
    else {
      // A 5xx or 429 tells nothing of the object itself.
      if (status < 500 && status !== 429) this.#noteUncacheable(lookup, facts, verdict);
      fills.closeToOthers(fill);
    }
    if (storable && sliceable) {
      const manifest = newManifest(fill, fields, facts, response, size, cache.sliceBytes);
      this.#options.slices.cut(
        manifest,
        response,
        hasRanges && fieldValue(fields, 'accept-ranges') !== 'none',
      );
      return this.#sliced(fill, lookup, manifest, response);
    }
    const reservation = new Reservation(this.#options.budget);
    const kept = storable && reservation.cover(size ?? 0);
    if (storable && !kept) {
      counters.notKept++;
      fills.closeToOthers(fill);
    }
    const ageMs = initialAgeMs(facts, requestedAt, receivedAt);
    fill.staleAt = receivedAt + Math.max(0, freshness(facts, cache).freshForMs - ageMs);
    const arriving: Arriving = {
      kind: 'arriving',
      status,
      fields,
      size,
      facts,
      storability: storable && !kept ? 'no-room' : verdict,
      initialAgeMs: ageMs,
      receivedAt,
      body: new FillingBody(kept, () => response.discard(), spillRoom),
      tries: response.tries,
    };
    void this.#pump(fill, lookup, cache.maxObjectBytes, arriving, response, reservation);
    return arriving;
  }

  /** A 304, or a 200 to HEAD, by which what is stored still holds: RFC 9111 §4.3.4, §4.3.5. */
  validated(
    fill: Fill,
    lookup: Lookup,
    stored: StoredObject,
    response: UpstreamResponse,
  ): FillResult {
    const { store, fills, admission } = this.#options;
    response.discard();
    this.vouch(fill, response);
    const { requestedAt, receivedAt } = response;
    const updated = freshenedFields(stored.fields, keptFields(response.fields));
    // A 304 that repeats no Age still spent it on the way: its own counts, not the merged fields'.
    const own = responseFacts(304, response.fields, receivedAt);
    const facts = responseFacts(stored.facts.status, updated, receivedAt);
    const object: StoredObject = {
      ...stored,
      fields: sharedFields({ fields: updated, facts }),
      facts,
      selector: fill.keySelector + variantSelector(facts.vary, fill.requestFields),
      initialAgeMs: initialAgeMs({ ...facts, ageSeconds: own.ageSeconds }, requestedAt, receivedAt),
      receivedAt,
      asOf: fill.asOf,
      softPurgedAt: undefined,
    };
    const verdict = admission.storability(lookup, facts, stored.body.size);
    // It may have had tags that it has no longer.
    for (const known of [stored.facts, facts]) admission.learn(fill, known);
    const shared = verdict === 'storable';
    // What only this one client was shown tells nothing of what others get.
    if (fill.purge === undefined && verdict !== 'authorization') {
      // Under its old selector it no longer counts.
      if (!shared || object.selector !== stored.selector) store.drop(stored);
      if (shared) store.put(object, lookup.site.cache.maxVariants);
    }
    fills.remove(fill);
    return { kind: 'validated', object, shared, ...parentSaid(response) };
  }

  /** A parent of ours says up to which fence its answer holds; that may be later than our start. */
  vouch(fill: Fill, { parent, fields }: UpstreamResponse): void {
    if (parent.tier === 'customer') return;
    const vouched = parseDeltaSeconds(fieldValue(fields, TIER_FIELDS.fence.toLowerCase()));
    if (vouched !== undefined) fill.asOf = Math.max(fill.asOf, vouched);
  }

  /** The answer takes the place of the stored one that the request would have had. */
  #noteUncacheable(lookup: Lookup, facts: ResponseFacts, verdict: Storability): void {
    if (verdict === 'authorization') {
      // Only this one client was shown it: of what others get it tells nothing.
      this.#mark(lookup, facts, [verdict]);
      return;
    }
    this.#mark(lookup, facts);
    const { store } = this.#options;
    const { key, keySelector, request } = lookup;
    for (const object of store.lookup(key)) {
      if (suitsRequest(object, keySelector, request.fields)) store.drop(object);
    }
  }

  #mark(lookup: Lookup, { vary }: ResponseFacts, further: readonly string[] = []): void {
    const { hitForMiss, store } = this.#options;
    const known = store.lookup(lookup.key)[0]?.facts.vary ?? [];
    hitForMiss.set(lookup, [...vary, ...known, ...further]);
  }

  #sliced(fill: Fill, lookup: Lookup, object: Manifest, response: UpstreamResponse): FillResult {
    if (fill.purge?.mode !== 'hard') {
      this.#options.store.put(object, lookup.site.cache.maxVariants);
    }
    this.#options.fills.remove(fill);
    return { kind: 'sliced', object, ...parentSaid(response) };
  }

  /** Moves the content from the parent to those who read it, and to the store at its end. */
  async #pump(
    fill: Fill,
    lookup: Lookup,
    maxObjectBytes: number,
    arriving: Arriving,
    response: UpstreamResponse,
    reservation: Reservation,
  ): Promise<void> {
    const { fills, counters } = this.#options;
    const { body } = arriving;
    try {
      for await (const chunk of response.body) {
        body.append(chunk);
        if (body.kept && body.size > maxObjectBytes) {
          this.#mark(lookup, arriving.facts);
          fills.closeToOthers(fill);
          await letGo(body);
        }
        if (body.kept && !reservation.cover(body.size)) {
          counters.notKept++;
          fills.closeToOthers(fill);
          await letGo(body);
        }
        if (!body.kept) reservation.giveBack();
        await body.room();
      }
      if (body.kept) this.#store(fill, arriving, lookup.site.cache.maxVariants);
      body.complete();
    } catch (error) {
      if (body.kept) this.#storeBeginning(fill, arriving, lookup.site.cache.maxVariants);
      body.fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      reservation.giveBack();
      fills.remove(fill);
    }
  }

  #store(fill: Fill, arriving: Arriving, maxVariants: number): void {
    if (fill.purge?.mode === 'hard') return;
    const { chunks } = arriving.body;
    this.#options.store.put(storedResponse(fill, arriving, chunks), maxVariants);
  }

  /**
   * Keeps what has come of an answer that broke off, where the rest of the same version can be asked
   * for (RFC 9111 §3.3): as a part, and never in place of a whole.
   */
  #storeBeginning(fill: Fill, arriving: Arriving, maxVariants: number): void {
    const { size, status, body } = arriving;
    const isPart = status === 200 && size !== undefined && body.size > 0 && body.size < size;
    if (!isPart || fill.purge?.mode === 'hard') return;
    const { store } = this.#options;
    const beginning = partOf(storedResponse(fill, arriving, body.chunks), 0, size);
    if (restOf(beginning) === undefined) return;
    const held = store.lookup(fill.key).find(({ selector }) => selector === beginning.selector);
    if (held === undefined || isPartial(held)) store.put(beginning, maxVariants);
  }
}

/** A turn later: who has just got the header section is about to read, and would find it abandoned. */
async function letGo(body: FillingBody): Promise<void> {
  await nextTurn();
  body.letGo();
}
