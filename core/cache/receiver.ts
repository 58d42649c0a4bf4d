import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CacheSettings } from '#core/contract/cache-settings.ts';
import { fieldValue, withoutFields } from '#core/http/fields.ts';
import { contentLength } from '#core/http/length.ts';
import type { FillCounters } from '#core/telemetry/fill-counters.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import { vouchedBy } from '#core/tree/vouched.ts';
import { isTierField } from '#core/tree/tier-fields.ts';
import type { Admission } from './admission.ts';
import { sharedFields } from './answer.ts';
import type { Lookup } from './engine.ts';
import { type Arriving, type Fill, type FillResult, type FillTable, parentSaid } from './fill.ts';
import { type FillBudget, Reservation } from './fill-budget.ts';
import { FillingBody } from './filling-body.ts';
import { FillWriter } from './fill-writer.ts';
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
import type { Keeping, Store } from './store.ts';
import { keepingFor, storedHead, storedResponse } from './stored-response.ts';

export interface ReceiverOptions {
  readonly store: Store;
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
    const { store, fills, admission, hitForMiss, counters, spillRoom } = this.#options;
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
      const mayRange = hasRanges && fieldValue(fields, 'accept-ranges') !== 'none';
      this.#options.slices.cut(manifest, response, mayRange, lookup);
      return this.#sliced(fill, lookup, manifest, response);
    }
    const ageMs = initialAgeMs(facts, requestedAt, receivedAt);
    const keeping = keepingFor({ facts, initialAgeMs: ageMs, receivedAt }, cache, response);
    const reservation = new Reservation(this.#options.budget);
    const kept = storable && reservation.cover(size ?? 0);
    const writer = storable ? new FillWriter(store, fill, keeping, size, kept) : undefined;
    const isStored = kept || writer?.isOpen === true;
    if (storable && !kept) fills.closeToOthers(fill);
    if (storable && !isStored) counters.notKept++;
    fill.staleAt = receivedAt + Math.max(0, freshness(facts, cache).freshForMs - ageMs);
    const arriving: Arriving = {
      kind: 'arriving',
      status,
      fields,
      size,
      facts,
      storability: storable && !isStored ? 'no-room' : verdict,
      initialAgeMs: ageMs,
      receivedAt,
      body: new FillingBody(kept, () => response.discard(), spillRoom),
      tries: response.tries,
    };
    void this.#pump({ fill, lookup, cache, keeping, arriving, response, reservation, writer });
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
    const cache = lookup.site.cacheFor(lookup.request.target, facts);
    const verdict = admission.storability(lookup, facts, stored.body.size);
    // It may have had tags that it has no longer.
    for (const known of [stored.facts, facts]) admission.learn(fill, known);
    const shared = verdict === 'storable';
    let isStored: boolean | Promise<boolean> = false;
    // What only this one client was shown tells nothing of what others get.
    if (fill.purge === undefined && verdict !== 'authorization') {
      // Under its old selector it no longer counts.
      if (!shared || object.selector !== stored.selector) store.drop(stored);
      if (shared) isStored = store.put(object, keepingFor(object, cache, response));
    }
    // Until it is found renewed, who asks for it is told here that it holds.
    if (typeof isStored === 'boolean') fills.remove(fill);
    else void isStored.finally(() => fills.remove(fill));
    return { kind: 'validated', object, shared, ...parentSaid(response) };
  }

  /** A parent of ours says up to which fence its answer holds; that may be later than our start. */
  vouch(fill: Fill, response: UpstreamResponse): void {
    const vouched = vouchedBy(response);
    if (vouched !== undefined) fill.asOf = Math.max(fill.asOf, vouched);
  }

  /** The answer takes the place of the stored one that the request would have had. */
  #noteUncacheable(lookup: Lookup, facts: ResponseFacts, verdict: Storability): void {
    if (verdict === 'authorization') {
      // Only this one client was shown it: of what others get it tells nothing.
      this.#mark(lookup, facts, verdict, [verdict]);
      return;
    }
    this.#mark(lookup, facts, verdict);
    const { store } = this.#options;
    const { key, keySelector, request } = lookup;
    for (const object of store.lookup(key)) {
      if (suitsRequest(object, keySelector, request.fields)) store.drop(object);
    }
  }

  #mark(
    lookup: Lookup,
    { vary }: ResponseFacts,
    why?: Storability,
    further: readonly string[] = [],
  ): void {
    const { hitForMiss, store } = this.#options;
    const known = store.lookup(lookup.key)[0]?.facts.vary ?? [];
    hitForMiss.set(lookup, [...vary, ...known, ...further], why);
  }

  #sliced(fill: Fill, lookup: Lookup, object: Manifest, response: UpstreamResponse): FillResult {
    if (fill.purge?.mode !== 'hard') {
      const cache = lookup.site.cacheFor(lookup.request.target, object.facts);
      void this.#options.store.put(object, keepingFor(object, cache, response));
    }
    this.#options.fills.remove(fill);
    return { kind: 'sliced', object, ...parentSaid(response) };
  }

  /** Moves the content from the parent to those who read it, and to the store at its end or as it comes. */
  async #pump(coming: Coming): Promise<void> {
    const { fills, counters } = this.#options;
    const { fill, lookup, cache, arriving, response, reservation, writer } = coming;
    const { body } = arriving;
    try {
      for await (const chunk of response.body) {
        body.append(chunk);
        if (body.size > cache.maxObjectBytes && (body.kept || writer?.isOpen === true)) {
          this.#mark(lookup, arriving.facts);
          fills.closeToOthers(fill);
          writer?.abandon();
          await letGo(body);
        }
        await writer?.take(chunk, body);
        if (body.kept && !reservation.cover(body.size)) {
          await writer?.takeAll(body);
          if (writer?.isOpen !== true) counters.notKept++;
          fills.closeToOthers(fill);
          await letGo(body);
        }
        if (!body.kept) reservation.giveBack();
        await body.room();
        if (fill.pace !== undefined) await fill.pace(chunk.length);
      }
      const isStored = this.#store(coming);
      body.complete();
      // Until it is found there, who asks for it gets it here.
      await isStored;
    } catch (error) {
      writer?.abandon();
      if (body.kept) await this.#storeBeginning(coming);
      body.fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      reservation.giveBack();
      fills.remove(fill);
    }
  }

  async #store({ fill, arriving, keeping, writer }: Coming): Promise<void> {
    const { body } = arriving;
    if (fill.purge?.mode === 'hard') writer?.abandon();
    else if (writer?.isOpen !== true) {
      if (!body.kept) return;
      await this.#options.store.put(storedResponse(fill, arriving, body.chunks), keeping);
    } else if (!(await writer.commit(storedHead(fill, arriving))) && body.kept) {
      // Where the disk has not taken it, memory may.
      if (fill.purge !== undefined) return;
      const inMemory = { ...keeping, memoryOnly: true };
      await this.#options.store.put(storedResponse(fill, arriving, body.chunks), inMemory);
    }
  }

  /**
   * Keeps what has come of an answer that broke off, where the rest of the same version can be asked
   * for (RFC 9111 §3.3): as a part, and never in place of a whole.
   */
  async #storeBeginning({ fill, arriving, keeping }: Coming): Promise<void> {
    const { size, status, body } = arriving;
    const isPart = status === 200 && size !== undefined && body.size > 0 && body.size < size;
    if (!isPart || fill.purge?.mode === 'hard') return;
    const { store } = this.#options;
    const beginning = partOf(storedResponse(fill, arriving, body.chunks), 0, size);
    if (restOf(beginning) === undefined) return;
    const held = store.lookup(fill.key).find(({ selector }) => selector === beginning.selector);
    if (held === undefined || isPartial(held)) await store.put(beginning, keeping);
  }
}

/** Content on its way, and all that decides where it goes. */
interface Coming {
  readonly fill: Fill;
  readonly lookup: Lookup;
  readonly cache: CacheSettings;
  readonly keeping: Keeping;
  readonly arriving: Arriving;
  readonly response: UpstreamResponse;
  readonly reservation: Reservation;
  /** Left out: it is not to be stored. */
  readonly writer: FillWriter | undefined;
}

/** A turn later: who has just got the header section is about to read, and would find it abandoned. */
async function letGo(body: FillingBody): Promise<void> {
  await nextTurn();
  body.letGo();
}
