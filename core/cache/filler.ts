import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { parseDeltaSeconds } from '#core/http/directives.ts';
import { fieldValue, hasField, withoutFields } from '#core/http/fields.ts';
import { contentLength } from '#core/http/length.ts';
import type { UpstreamResponse } from '#core/tree/attempt.ts';
import type { FillCounters } from '#core/telemetry/fill-counters.ts';
import { isTierField, TIER_FIELDS } from '#core/tree/tier-fields.ts';
import type { UpstreamRequest } from '#core/tree/tree.ts';
import { sharedFields } from './answer.ts';
import type { Backoffs } from './backoffs.ts';
import { Body } from './body.ts';
import type { Lookup } from './engine.ts';
import { everybodysFields } from './everybodys-fields.ts';
import type { Fence } from './fence.ts';
import { type Arriving, Fill, type FillResult, type FillTable } from './fill.ts';
import { type FillBudget, Reservation } from './fill-budget.ts';
import { FillingBody } from './filling-body.ts';
import type { HitForMiss } from './hit-for-miss.ts';
import { keptFields } from './kept-fields.ts';
import type { Marks } from './marks.ts';
import type { Manifest, StoredObject } from './object.ts';
import { freshness, initialAgeMs } from './policy/freshness.ts';
import { type ResponseFacts, responseFacts } from './policy/response.ts';
import {
  contentRange,
  fieldsOfWhole,
  isSliceable,
  type Probe,
  probeFor,
} from './policy/slicing.ts';
import { type Storability, storability } from './policy/storability.ts';
import { freshenedFields } from './policy/update.ts';
import { validationFields } from './policy/validation.ts';
import { variantSelector } from './policy/vary.ts';
import type { SpillRoom } from './spill-room.ts';
import { newManifest } from './slices/manifest.ts';
import type { Slices } from './slices/slices.ts';
import type { ObjectStore } from './store.ts';
import type { Targeted } from './targets.ts';

/** Where a fill gets its object from: the tree, or what stands before it. */
export interface FillSource {
  /** @throws CanopyError where no parent answers */
  fetch(lookup: Lookup, request: UpstreamRequest): Promise<UpstreamResponse>;
}

export interface FillerOptions {
  readonly clock: Clock;
  readonly store: ObjectStore;
  readonly source: FillSource;
  readonly fence: Fence;
  readonly lease: { ended(): boolean };
  readonly fills: FillTable;
  readonly slices: Slices;
  readonly hitForMiss: HitForMiss;
  readonly refreshFailing: Backoffs;
  readonly counters: FillCounters;
  readonly budget: FillBudget;
  readonly spillRoom: SpillRoom | undefined;
  /** Keys that parents are to be told have changed. */
  readonly changed: Marks;
  /** Whether what matches is not to be stored. */
  readonly isBanned: (targeted: Targeted) => boolean;
}

/** A fill, and whether the one who asked for it found it under way. */
export interface Joined {
  readonly fill: Fill;
  readonly collapsed: boolean;
}

/** Fetches objects into the store: one fetch for all who want one at the same time. */
export class Filler {
  readonly #options: FillerOptions;

  constructor(options: FillerOptions) {
    this.#options = options;
  }

  /**
   * The fill of an object: the one under way, or a new one that outlives whoever started it.
   * @param stored what to validate, and to fall back on where `staleOnError`
   * @param learntVary what the object varies by, where it is not stored but was just seen
   */
  join(
    lookup: Lookup,
    stored: StoredObject | undefined,
    staleOnError: boolean,
    learntVary?: readonly string[],
    refreshesBehind = false,
  ): Joined {
    const { fills, fence, clock, lease } = this.#options;
    const { key, keySelector, site, request, askingFence } = lookup;
    const known = stored ?? this.#options.store.lookup(key)[0];
    const vary = learntVary ?? known?.facts.vary ?? [];
    const selector = keySelector + variantSelector(vary, request.fields);
    const behind = askingFence > fence.sequence;
    let underWay = fills.find(key, selector, behind ? askingFence : 0);
    const isStale = underWay?.staleAt !== undefined && clock.now() > underWay.staleAt;
    // What began before this request may be from before a purge of which this node hears nothing.
    const isBlind = site.onLeaseEnd === 'revalidate' && lease.ended();
    if (underWay !== undefined && (isStale || isBlind)) {
      fills.closeToOthers(underWay);
      underWay = undefined;
    }
    // A fetch that began before the change is no answer to one who knows of it.
    if (underWay !== undefined && !lookup.changed) return { fill: underWay, collapsed: true };
    if (underWay !== undefined) {
      const mark = { sequence: Infinity, mode: 'hard' as const, at: this.#options.clock.now() };
      fills.purge((other) => other.key === key, mark);
    }
    const asOf = Math.max(fence.sequence, askingFence);
    const fill = new Fill(
      {
        key,
        site: site.name,
        keySelector,
        selector,
        requestFields: request.fields,
        asOf,
        behind: refreshesBehind,
        startedAtMs: clock.monotonicMs(),
      },
      // Deferred by a microtask, so that the fill is in the table before it can end.
      (self) => Promise.resolve().then(() => this.#run(self, lookup, stored, staleOnError)),
    );
    fills.add(fill);
    return { fill, collapsed: false };
  }

  /**
   * Renews an object with nobody waiting, unless that is under way, failed lately, or the site has
   * as many refreshes under way as it may.
   */
  refresh(lookup: Lookup, stored: StoredObject | undefined): void {
    const { fills, refreshFailing, counters } = this.#options;
    const { key, site } = lookup;
    if (refreshFailing.has(key)) return;
    if (fills.refreshes(site.name) >= site.cache.maxRefreshes) {
      counters.refreshesSkipped++;
      return;
    }
    const { fill, collapsed } = this.join(lookup, stored, true, undefined, true);
    if (collapsed) return;
    fill.result.then(letGoUnread, () => undefined);
  }

  async #run(
    fill: Fill,
    lookup: Lookup,
    stored: StoredObject | undefined,
    staleOnError: boolean,
  ): Promise<FillResult> {
    const { fills, refreshFailing } = this.#options;
    const fallback = staleOnError ? stored : undefined;
    const fail = (failure: number | CanopyError): FillResult | undefined => {
      refreshFailing.fail(fill.key);
      if (fallback === undefined) return undefined;
      this.#learn(fill, fallback.facts);
      fills.remove(fill);
      return { kind: 'stale-if-error', object: fallback, failure };
    };
    try {
      const probe =
        stored === undefined
          ? probeFor(lookup.request.method, lookup.request.fields, lookup.site.cache)
          : undefined;
      let response = await this.#fetch(fill, lookup, stored, probe);
      // A 200 to a request for a part comes of a server that knows no ranges, RFC 9110 §14.2.
      const hasRanges = probe === undefined || response.status !== 200;
      if (probe !== undefined && (response.status === 206 || response.status === 416)) {
        const found = this.#receivePart(fill, lookup, response, probe);
        if (found !== undefined) return found;
        // Not large, or nothing that could be kept in slices.
        response.discard();
        response = await this.#fetch(fill, lookup, stored);
      }
      this.#vouch(fill, response);
      if (response.status === 304 && stored !== undefined) {
        response.discard();
        const { object, shared } = this.#freshen(fill, lookup, stored, response);
        return {
          kind: 'validated',
          object,
          shared,
          cacheStatus: fieldValue(response.fields, 'cache-status'),
        };
      }
      const result = response.status >= 500 ? fail(response.status) : undefined;
      if (result !== undefined) {
        response.discard();
        return result;
      }
      return this.#receive(fill, lookup, response, hasRanges);
    } catch (error) {
      const failure =
        error instanceof CanopyError
          ? error
          : new CanopyError('internal-error', messageOf(error), { cause: error });
      const result = fail(failure);
      if (result !== undefined) return result;
      fills.remove(fill);
      throw failure;
    }
  }

  #fetch(
    fill: Fill,
    lookup: Lookup,
    stored: StoredObject | undefined,
    probe?: Probe,
  ): Promise<UpstreamResponse> {
    const { site, key, keyedBy, request } = lookup;
    return this.#options.source.fetch(lookup, {
      site,
      key,
      keyedBy,
      method: 'GET',
      target: request.target,
      fields: [
        ...everybodysFields(lookup.upstreamFields()),
        ...(stored === undefined ? [] : validationFields(stored.facts, stored.fields)),
        ...(probe === undefined ? [] : ['Range', probe.range]),
      ],
      // Without the port, for the answer is everybody's whatever port they asked at.
      host: request.host,
      content: undefined,
      fence: fill.asOf,
      changed: lookup.changed || this.#options.changed.has(key),
      signal: undefined,
      onInterim: (status, fields) => lookup.client.inform(status, fields),
    });
  }

  /** A parent of ours says up to which fence its answer holds; that may be later than our start. */
  #vouch(fill: Fill, { parent, fields }: UpstreamResponse): void {
    if (parent.tier === 'customer') return;
    const vouched = parseDeltaSeconds(fieldValue(fields, TIER_FIELDS.fence.toLowerCase()));
    if (vouched !== undefined) fill.asOf = Math.max(fill.asOf, vouched);
  }

  /**
   * The tags of what a fill brings, so that purges by tag are known to concern it: those that came
   * while they were not known, and those to come.
   */
  #learn(fill: Fill, facts: ResponseFacts): void {
    const { fence, fills } = this.#options;
    const { site, key, asOf } = fill;
    fill.tags = facts.tags;
    const verdict = fence.verdict({ site, key, asOf, facts });
    // Which of several purges came first is not known.
    if (verdict !== undefined) fills.mark(fill, { ...verdict, sequence: asOf + 1 });
  }

  /** Why the answer may be stored, or why not. */
  #storability(
    fill: Fill,
    lookup: Lookup,
    facts: ResponseFacts,
    bytes: number | undefined,
  ): Storability {
    const { site, request } = lookup;
    if (this.#options.isBanned({ site: site.name, key: fill.key, tags: facts.tags })) {
      return 'banned';
    }
    const authorized = hasField(request.fields, 'authorization');
    const cache = site.cacheFor(request.target, facts);
    return storability({ method: 'GET', authorized }, facts, bytes, cache);
  }

  #freshen(
    fill: Fill,
    lookup: Lookup,
    stored: StoredObject,
    response: UpstreamResponse,
  ): { object: StoredObject; shared: boolean } {
    const { store, fills, refreshFailing } = this.#options;
    const { requestedAt, receivedAt } = response;
    const updated = freshenedFields(stored.fields, keptFields(response.fields));
    // A 304 that repeats no Age still spent it on the way: its own counts, not the merged fields'.
    const own = responseFacts(304, response.fields, receivedAt);
    const facts = responseFacts(stored.facts.status, updated, receivedAt);
    const object: StoredObject = {
      ...stored,
      fields: sharedFields({ fields: updated, facts }),
      facts,
      selector: variantSelector(facts.vary, fill.requestFields),
      initialAgeMs: initialAgeMs({ ...facts, ageSeconds: own.ageSeconds }, requestedAt, receivedAt),
      receivedAt,
      asOf: fill.asOf,
      softPurgedAt: undefined,
    };
    const shared = this.#storability(fill, lookup, facts, stored.body.size) === 'storable';
    // It may have had tags that it has no longer.
    for (const known of [stored.facts, facts]) this.#learn(fill, known);
    if (fill.purge === undefined) {
      // Under its old selector it no longer counts.
      if (!shared || object.selector !== stored.selector) store.drop(stored);
      if (shared) store.put(object, lookup.site.cache.maxVariants);
    }
    refreshFailing.clear(fill.key);
    fills.remove(fill);
    return { object, shared };
  }

  /** @param hasRanges whether the parent may know ranges, as far as it has shown */
  #receive(fill: Fill, lookup: Lookup, response: UpstreamResponse, hasRanges: boolean): FillResult {
    const { fills, hitForMiss, refreshFailing, counters, spillRoom } = this.#options;
    const { status, requestedAt, receivedAt } = response;
    const fields = withoutFields(response.fields, isTierField);
    const facts = responseFacts(status, fields, receivedAt);
    const size = contentLength(fields);
    const cache = lookup.site.cacheFor(lookup.request.target, facts);
    const sliceable = isSliceable(facts, size, cache);
    const verdict = this.#storability(fill, lookup, facts, sliceable ? undefined : size);
    this.#learn(fill, facts);
    const storable = verdict === 'storable';
    if (!storable) {
      // It takes the place of what was stored; but a 5xx or 429 tells nothing of the object itself,
      // nor does what only this one client was shown.
      if (status < 500 && status !== 429 && verdict !== 'authorization') {
        hitForMiss.set(fill.key, fill.keySelector);
        this.#options.store.delete(fill.key, fill.keySelector);
      }
      fills.closeToOthers(fill);
    } else hitForMiss.clear(fill.key, fill.keySelector);
    if (status < 500) refreshFailing.clear(fill.key);
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
      initialAgeMs: initialAgeMs(facts, requestedAt, receivedAt),
      receivedAt,
      body: new FillingBody(kept, () => response.discard(), spillRoom),
    };
    void this.#pump(fill, lookup, cache.maxObjectBytes, arriving, response, reservation);
    return arriving;
  }

  /** What a parent's answer to a probe tells; `undefined`: nothing that could be kept in slices. */
  #receivePart(
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
    if (!isSliceable(facts, range.size, cache)) return undefined;
    if (this.#storability(fill, lookup, facts, undefined) !== 'storable') return undefined;
    this.#vouch(fill, response);
    this.#learn(fill, facts);
    const manifest = newManifest(fill, fields, facts, response, range.size, cache.sliceBytes);
    const result = this.#sliced(fill, lookup, manifest, response);
    if (range.start === (probe.index ?? NaN) * cache.sliceBytes) {
      this.#options.slices.fetch(manifest, range.start / cache.sliceBytes, lookup, response);
    } else response.discard();
    return result;
  }

  #sliced(
    fill: Fill,
    lookup: Lookup,
    object: Manifest,
    { status, fields }: UpstreamResponse,
  ): FillResult {
    if (fill.purge?.mode !== 'hard') {
      this.#options.store.put(object, lookup.site.cache.maxVariants);
    }
    this.#options.refreshFailing.clear(fill.key);
    this.#options.fills.remove(fill);
    return { kind: 'sliced', object, status, cacheStatus: fieldValue(fields, 'cache-status') };
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
    const { fills, hitForMiss, counters } = this.#options;
    const { body } = arriving;
    try {
      for await (const chunk of response.body) {
        body.append(chunk);
        if (body.kept && body.size > maxObjectBytes) {
          hitForMiss.set(fill.key, fill.keySelector);
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
      body.fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      reservation.giveBack();
      fills.remove(fill);
    }
  }

  #store(fill: Fill, arriving: Arriving, maxVariants: number): void {
    const { facts, initialAgeMs: ageMs, receivedAt, body } = arriving;
    if (fill.purge?.mode === 'hard') return;
    const object: StoredObject = {
      key: fill.key,
      site: fill.site,
      selector: fill.keySelector + variantSelector(facts.vary, fill.requestFields),
      fields: keptFields(sharedFields(arriving)),
      facts,
      body: new Body(body.chunks),
      initialAgeMs: ageMs,
      receivedAt,
      asOf: fill.asOf,
      softPurgedAt: fill.purge?.at,
    };
    this.#options.store.put(object, maxVariants);
  }
}

/** A turn later: who has just got the header section is about to read, and would find it abandoned. */
async function letGo(body: FillingBody): Promise<void> {
  await nextTurn();
  body.letGo();
}

/** Content that is neither kept nor read would wait for a reader that does not come. */
function letGoUnread(result: FillResult): void {
  if (result.kind === 'arriving' && !result.body.kept) void result.body.read().return?.();
}
